/** Files that are embedded: the import is the file's path, in the source tree and in the compiled executable. */
declare module '*.zip' {
  const path: string;
  export default path;
}
