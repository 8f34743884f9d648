/**
 * The one error that reaches a client, and its rendering in OpenAI's envelope.
 *
 * Anything else that is thrown is an internal fault: it is logged with its cause and answered as a
 * 500 without detail.
 */

export type ErrorCode =
  | 'invalid_request'
  | 'invalid_type'
  | 'invalid_value'
  | 'missing_required_parameter'
  | 'not_found'
  | 'unknown_url'
  | 'method_not_supported'
  | 'invalid_api_key'
  | 'permission_denied'
  | 'model_not_found'
  | 'conflict'
  | 'request_too_large'
  | 'range_not_satisfiable'
  | 'unsupported_media_type'
  | 'rate_limit_exceeded'
  | 'insufficient_quota'
  | 'server_error'
  | 'upstream_error'
  | 'service_unavailable'
  | 'upstream_timeout'
  | 'not_supported';

interface Rendering {
  /** HTTP status. */
  status: number;
  /** `error.type` of the envelope. */
  type: string;
  /** `error.code` of the envelope; OpenAI leaves it null for plain validation errors. */
  code: string | null;
}

/** How each code is answered. Validation is 400 (never 422), as at OpenAI. */
export const ERROR_RENDERINGS: Readonly<Record<ErrorCode, Rendering>> = Object.freeze({
  invalid_request: { status: 400, type: 'invalid_request_error', code: null },
  invalid_type: { status: 400, type: 'invalid_request_error', code: 'invalid_type' },
  invalid_value: { status: 400, type: 'invalid_request_error', code: 'invalid_value' },
  missing_required_parameter: {
    status: 400,
    type: 'invalid_request_error',
    code: 'missing_required_parameter',
  },
  not_found: { status: 404, type: 'invalid_request_error', code: null },
  unknown_url: { status: 404, type: 'invalid_request_error', code: 'unknown_url' },
  method_not_supported: { status: 405, type: 'invalid_request_error', code: 'method_not_supported' },
  invalid_api_key: { status: 401, type: 'invalid_request_error', code: 'invalid_api_key' },
  permission_denied: { status: 403, type: 'invalid_request_error', code: 'permission_denied' },
  model_not_found: { status: 404, type: 'invalid_request_error', code: 'model_not_found' },
  conflict: { status: 409, type: 'invalid_request_error', code: 'conflict' },
  request_too_large: { status: 413, type: 'invalid_request_error', code: 'request_too_large' },
  range_not_satisfiable: { status: 416, type: 'invalid_request_error', code: 'range_not_satisfiable' },
  unsupported_media_type: { status: 415, type: 'invalid_request_error', code: 'unsupported_media_type' },
  rate_limit_exceeded: { status: 429, type: 'rate_limit_error', code: 'rate_limit_exceeded' },
  insufficient_quota: { status: 429, type: 'insufficient_quota', code: 'insufficient_quota' },
  server_error: { status: 500, type: 'server_error', code: null },
  upstream_error: { status: 502, type: 'server_error', code: 'upstream_error' },
  service_unavailable: { status: 503, type: 'server_error', code: 'service_unavailable' },
  upstream_timeout: { status: 504, type: 'server_error', code: 'upstream_timeout' },
  not_supported: { status: 501, type: 'invalid_request_error', code: 'not_supported' },
});

export interface ErrorBody {
  error: { message: string; type: string; param: string | null; code: string | null };
}

export interface ApiErrorOptions {
  /** The request parameter at fault, as a path: `tools[3].function.name`. */
  param?: string | null;
  /** `error.code` of the envelope where a finer one than the table's is known: `array_above_max_length`. */
  wireCode?: string | null;
  /** Kept for the log; never rendered. */
  cause?: unknown;
  /** Rendered as `retry-after` (whole seconds, rounded up). */
  retryAfterMs?: number;
}

const RESOURCE_NAMES: Readonly<Record<string, string>> = {
  assistant: 'assistant',
  thread: 'thread',
  message: 'message',
  run: 'run',
  step: 'run step',
  file: 'file',
  vector_store: 'vector store',
};

export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: ErrorCode;
  readonly param: string | null;
  readonly wireCode: string | null;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: ApiErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.param = options.param ?? null;
    this.wireCode = options.wireCode ?? ERROR_RENDERINGS[code].code;
    this.retryAfterMs = options.retryAfterMs;
  }

  get status(): number {
    return ERROR_RENDERINGS[this.code].status;
  }

  /** 404 in OpenAI's words: `No thread found with id 'thread_x'.` */
  static notFound(resource: string, id: string, param: string | null = null): ApiError {
    const name = RESOURCE_NAMES[resource] ?? resource;
    return new ApiError('not_found', `No ${name} found with id '${id}'.`, { param });
  }

  /** 400: the request is understood, but cannot be done as asked. */
  static invalidRequest(message: string, param: string | null = null): ApiError {
    return new ApiError('invalid_request', message, { param });
  }

  /** 400: a parameter holds a value outside of what it may hold. */
  static invalidValue(param: string, message: string): ApiError {
    return new ApiError('invalid_value', message, { param });
  }
}

/** Renders any thrown value; what is not an `ApiError` shows nothing of itself. */
export function toErrorBody(error: unknown): ErrorBody {
  if (error instanceof ApiError) {
    const { type } = ERROR_RENDERINGS[error.code];
    return { error: { message: error.message, type, param: error.param, code: error.wireCode } };
  }
  return {
    error: {
      message: 'The server had an error while processing your request.',
      type: 'server_error',
      param: null,
      code: null,
    },
  };
}
