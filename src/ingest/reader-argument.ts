/** What the server and the processes that read its documents must agree on before they speak. */

/** The argument that makes the program such a process. */
export const READER_ARGUMENT = '--read-documents';
/** Its exit code where it ended itself because it needed too much memory. */
export const EXIT_MEMORY = 77;
