/** `understudy/client`: what programs with the official client need to call understudy with any provider's models. */

export type { EditMessageParams } from './edit-message.ts';
export { editMessage } from './edit-message.ts';
export type { EmbeddedFile } from './embedding-model.ts';
export { readEmbeddingModel } from './embedding-model.ts';
export type { ListThreadsParams, ThreadList, ThreadPage } from './list-threads.ts';
export { listThreads } from './list-threads.ts';
export type { PatchOptions } from './patch.ts';
export { patch } from './patch.ts';
