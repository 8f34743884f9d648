/**
 * The header that brings a token of Astra's. It opens the tenant's database where the server keeps its data in Astra; everywhere, it
 * is what programs of astra-assistants-api are known by, whose own fields are shown to nobody else.
 */
export const ASTRA_TOKEN_HEADER = 'astra-api-token';
