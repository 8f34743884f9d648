/** The settings of who may come in, and how: part of the table in `settings.ts`. */

import { Type } from '@sinclair/typebox';
import { LIST_MAX, setting, TEXT_MAX } from './setting.ts';

/** `10.0.0.0/8`, `127.0.0.1`, `fd00::/8`; what is in range is looked at by `checkAccess`. */
const RANGE_PATTERN = '^[0-9A-Fa-f:.]+(/\\d{1,3})?$';
const File = Type.String({ maxLength: TEXT_MAX });

export const ACCESS_SETTINGS = {
  metricsAllow: setting({
    flag: 'metrics-allow',
    argument: 'ADDRESS',
    schema: Type.Array(Type.String({ pattern: RANGE_PATTERN, maxLength: 64 }), { maxItems: LIST_MAX }),
    fallback: [] as string[],
    about:
      'With --auth keys: an address, or a range (10.0.0.0/8), that reads /metrics without one. May be repeated.',
  }),
  tlsCert: setting({
    flag: 'tls-cert',
    argument: 'FILE',
    schema: File,
    fallback: '',
    about:
      'The certificate of the server, as PEM, with those that lead to its authority: it then speaks HTTPS.',
  }),
  tlsKey: setting({
    flag: 'tls-key',
    argument: 'FILE',
    schema: File,
    fallback: '',
    about: 'The key of that certificate, as PEM, without a password.',
  }),
  tlsCa: setting({
    flag: 'tls-ca',
    argument: 'FILE',
    schema: File,
    fallback: '',
    about: 'Authorities, as PEM: only clients with a certificate of theirs are served.',
  }),
};
