/** OpenAI's list object. */

import { type TSchema, Type } from '@sinclair/typebox';

/** Empty lists have neither a first nor a last id. */
export const ListObject = <T extends TSchema>(item: T) =>
  Type.Object({
    object: Type.Literal('list'),
    data: Type.Array(item),
    first_id: Type.Union([Type.String(), Type.Null()]),
    last_id: Type.Union([Type.String(), Type.Null()]),
    has_more: Type.Boolean(),
  });
