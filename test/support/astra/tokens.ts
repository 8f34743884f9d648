/** The organization's application tokens, and what each may do. */

import { randomBytes } from 'node:crypto';

export interface TokenOptions {
  /** Ids. Default: all, and the right to create more. */
  readonly databases?: readonly string[];
  /** Default: `write`, which includes tables. */
  readonly access?: 'read' | 'write';
}

export interface Token {
  /** `AstraCS:…`. */
  readonly value: string;
  readonly access: 'read' | 'write';
  readonly databases: readonly string[] | null;
}

export interface Tokens {
  create(options: TokenOptions): Token;
  /** Idempotent. Connections that are open stay. */
  revoke(value: string): void;
  /** null for one that was never given out, or was taken back. */
  find(value: string): Token | null;
}

const CLIENT_ID_BYTES = 12;
const SECRET_BYTES = 32;

export function createTokens(): Tokens {
  const valid = new Map<string, Token>();
  return {
    create({ databases, access = 'write' }) {
      const clientId = randomBytes(CLIENT_ID_BYTES).toString('hex');
      const value = `AstraCS:${clientId}:${randomBytes(SECRET_BYTES).toString('hex')}`;
      const token = { value, access, databases: databases ?? null };
      valid.set(value, token);
      return token;
    },
    revoke(value) {
      valid.delete(value);
    },
    find: (value) => valid.get(value) ?? null,
  };
}

export function canUse(token: Token, databaseId: string): boolean {
  return token.databases === null || token.databases.includes(databaseId);
}
