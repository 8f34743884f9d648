/** `/openapi.json`, and a page at `/docs/api` that shows it: served from the binary, without the internet. The other pages: `site.ts`. */

import type { Elysia } from 'elysia';
import stylePath from 'swagger-ui-dist/swagger-ui.css' with { type: 'file' };
import bundlePath from 'swagger-ui-dist/swagger-ui-bundle.js' with { type: 'file' };
import { toOpenApiDocument } from '../schemas/openapi-document.ts';
import { registerSite } from './site.ts';

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>understudy API</title>
<link rel="stylesheet" href="/docs/api/style.css">
</head>
<body>
<div id="page"></div>
<script src="/docs/api/bundle.js"></script>
<script src="/docs/api/start.js"></script>
</body>
</html>
`;

const START = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#page', deepLinking: true, validatorUrl: null });
`;

/** Nothing but this server is reached from the page; the bundle writes styles and has its pictures inline. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

export function registerDocs(app: Elysia, version: string): void {
  let document: string | null = null;
  app
    .get('/openapi.json', () => {
      document ??= JSON.stringify(toOpenApiDocument(version));
      return new Response(document, { headers: { 'content-type': 'application/json; charset=utf-8' } });
    })
    .get('/docs/api', () => toAsset(PAGE, 'text/html'))
    .get('/docs/api/start.js', () => toAsset(START, 'text/javascript'))
    .get('/docs/api/bundle.js', () => toAsset(Bun.file(bundlePath), 'text/javascript'))
    .get('/docs/api/style.css', () => toAsset(Bun.file(stylePath), 'text/css'));
  registerSite(app);
}

function toAsset(body: string | Blob, type: string): Response {
  return new Response(body, {
    headers: {
      'content-type': `${type}; charset=utf-8`,
      'content-security-policy': POLICY,
      'cache-control': 'public, max-age=3600',
      'x-content-type-options': 'nosniff',
    },
  });
}
