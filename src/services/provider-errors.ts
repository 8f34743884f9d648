/** What a client of the gateway is told when a provider fails. */

import { ApiError, type ErrorCode } from '../errors.ts';
import { ProviderError, type ProviderErrorKind } from '../providers/provider.ts';

const CODES: Readonly<Record<ProviderErrorKind, ErrorCode>> = Object.freeze({
  rate_limit: 'rate_limit_exceeded',
  insufficient_quota: 'insufficient_quota',
  authentication: 'invalid_api_key',
  model_not_found: 'model_not_found',
  invalid_request: 'invalid_request',
  content_filter: 'invalid_request',
  server: 'upstream_error',
  connection: 'upstream_error',
  timeout: 'upstream_timeout',
  protocol: 'upstream_error',
  not_configured: 'service_unavailable',
  unavailable: 'service_unavailable',
  not_supported: 'not_supported',
});

/** What a provider refuses for a reason that its status says more closely. */
const REFUSALS: Readonly<Partial<Record<number, ErrorCode>>> = Object.freeze({
  404: 'not_found',
  409: 'conflict',
  413: 'request_too_large',
  415: 'unsupported_media_type',
});

/** The provider's words in OpenAI's envelope; anything else stays what it is. */
export function toApiError(error: unknown): unknown {
  if (!(error instanceof ProviderError)) return error;
  return new ApiError(toCode(error), error.message, {
    param: error.param,
    ...(error.code === null ? {} : { wireCode: error.code }),
    ...(error.retryAfterMs === null ? {} : { retryAfterMs: error.retryAfterMs }),
    cause: error,
  });
}

function toCode({ kind, status }: ProviderError): ErrorCode {
  const refusal = kind === 'invalid_request' && status !== null ? REFUSALS[status] : undefined;
  return refusal ?? CODES[kind];
}
