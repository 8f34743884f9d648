/** The secrets, which have no flag and no place in the file, where they would be seen: the help and the documentation are made from this. */

import {
  ASTRA_DATABASE_VARIABLE,
  ASTRA_TOKEN_VARIABLE,
  CASSANDRA_PASSWORD_VARIABLE,
  SECRET_VARIABLE,
} from './settings.ts';

export interface SecretVariable {
  readonly name: string;
  /** Lines of help. */
  readonly about: readonly string[];
}

export const SECRET_VARIABLES: readonly SecretVariable[] = Object.freeze([
  {
    name: SECRET_VARIABLE,
    about: [
      'Seals keys that came with a request while its run is active, or its files are',
      'read, so that both go on after a restart. At least 16 characters. Never stored.',
    ],
  },
  { name: CASSANDRA_PASSWORD_VARIABLE, about: ['The password of --cassandra-username.'] },
  { name: ASTRA_TOKEN_VARIABLE, about: ['The token of a server with one Astra database.'] },
  {
    name: ASTRA_DATABASE_VARIABLE,
    about: ["That database's id, where the token can use several. No secret."],
  },
]);
