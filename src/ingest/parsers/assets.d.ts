/** Files that are embedded: the import is the file's path, in the source tree and in the compiled executable. */
declare module '*.zip' {
  const path: string;
  export default path;
}

/** The ranks as a file: a megabyte of text would otherwise be in the executable twice. */
declare module 'js-tiktoken/ranks/cl100k_base' {
  const path: string;
  export default path;
}

/**
 * pdf.js as a file: what is made of it ahead of time would be 4 MB in the executable, and save none of the time to load it. Its types
 * are those that `getResolvedPDFJS` of the same package answers.
 */
declare module 'unpdf/pdfjs' {
  const path: string;
  export default path;
}
