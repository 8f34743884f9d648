/** `/docs`: the documentation, served from the binary, without a key and without the internet. */

import type { Elysia } from 'elysia';
import { ApiError } from '../errors.ts';
import { createLazy } from '../lazily.ts';
import { toPath } from './manners.ts';

const HOME = '/docs';
/** The page that is shown to people for what is not there. */
const MISSING = '/docs/404';

/** Nothing but this server is reached, and nothing runs or paints that is written into a page. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

interface SiteFile {
  readonly type: string;
  readonly etag: string;
  readonly styleHash: string | null;
  readonly gzip: Uint8Array<ArrayBuffer>;
}

export function registerSite(app: Elysia): void {
  const site = createLazy(readFiles, () => new Error('The documentation is closed.'));
  const serve = async ({ request }: { readonly request: Request }): Promise<Response> => {
    const path = toPath(request).replace(/\/$/, '');
    const files = await site.get();
    const file = path === MISSING ? undefined : files.get(path);
    if (file !== undefined) return toResponse(request, file, 200);
    const missing = files.get(MISSING);
    const isForPeople = request.headers.get('accept')?.includes('text/html') ?? false;
    if (missing !== undefined && isForPeople) return toResponse(request, missing, 404);
    throw new ApiError('unknown_url', `Invalid URL (${request.method} ${path})`);
  };
  app.get(HOME, serve).get(`${HOME}/*`, serve);
}

/** The files are some hundred kilobytes of text: who never looks at them never has them in memory. */
async function readFiles(): Promise<ReadonlyMap<string, SiteFile>> {
  const { SITE_FILES } = await import('./site-assets.ts');
  return new Map(
    Object.entries(SITE_FILES).map(([path, { gzip, ...file }]) => [
      path,
      { ...file, gzip: new Uint8Array(Buffer.from(gzip, 'base64')) },
    ]),
  );
}

function toResponse(request: Request, file: SiteFile, status: number): Response {
  const { type, etag, styleHash, gzip } = file;
  const headers: Record<string, string> = {
    'content-type': type.startsWith('image/') ? type : `${type}; charset=utf-8`,
    'content-security-policy': styleHash === null ? POLICY : allowStyle(styleHash),
    // Asked for again each time, and answered by 304: a new version of the server has new pages under the same names.
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    vary: 'accept-encoding, accept',
  };
  if (status !== 200) return new Response(Bun.gunzipSync(gzip), { status, headers });
  const isPacked = acceptsGzip(request.headers.get('accept-encoding'));
  headers.etag = isPacked ? etag.replace(/"$/, '-gzip"') : etag;
  if (knows(request.headers.get('if-none-match'), headers.etag)) {
    return new Response(null, { status: 304, headers });
  }
  if (!isPacked) return new Response(Bun.gunzipSync(gzip), { headers });
  return new Response(gzip, { headers: { ...headers, 'content-encoding': 'gzip' } });
}

/** A picture that is opened by itself is under its own policy: its one style sheet paints it. */
function allowStyle(hash: string): string {
  return POLICY.replace("style-src 'self'", `style-src '${hash}'`);
}

/** Whether `gzip`, or `*`, stands there and is not refused by a weight of zero. */
function acceptsGzip(header: string | null): boolean {
  const weights = new Map(
    (header ?? '').split(',').map((part) => {
      const [name = '', ...parameters] = part.split(';').map((word) => word.trim().toLowerCase());
      const weight = parameters.find((word) => word.startsWith('q='))?.slice(2) ?? '1';
      return [name, Number(weight)] as const;
    }),
  );
  return (weights.get('gzip') ?? weights.get('*') ?? 0) > 0;
}

/** `If-None-Match` compares weakly: proxies that compress make validators weak. */
function knows(header: string | null, etag: string): boolean {
  return (header ?? '').split(',').some((one) => {
    const given = one.trim().replace(/^W\//, '');
    return given === etag || given === '*';
  });
}
