/** What a key may do. */

import { Type } from '@sinclair/typebox';
import { Value } from '@sinclair/typebox/value';

export const KeyScope = Type.Union([
  /** Reading what is there. */
  Type.Literal('read'),
  /** Making, changing and deleting records and files. */
  Type.Literal('write'),
  /** Whatever asks a model. */
  Type.Literal('run'),
  /** Everything, and the server's metrics. */
  Type.Literal('admin'),
]);
export type KeyScope = 'read' | 'write' | 'run' | 'admin';

export const KEY_SCOPES: readonly KeyScope[] = Object.freeze(['read', 'write', 'run', 'admin']);
/** Of a key that is made without a word about it. */
export const KEY_SCOPES_DEFAULT: readonly KeyScope[] = Object.freeze(['read', 'write', 'run']);

export function isKeyScope(text: string): text is KeyScope {
  return Value.Check(KeyScope, text);
}

export function hasScope(scopes: ReadonlySet<KeyScope>, needed: KeyScope): boolean {
  return scopes.has(needed) || scopes.has('admin');
}
