/**
 * Where traces go, by the variables that every program with OpenTelemetry has:
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */

import { Secret } from '../secret.ts';
import { type Environment, readVariable } from './config-sources.ts';

export interface TracingConfig {
  readonly url: string;
  /** By their names; they often are keys. */
  readonly headers: Readonly<Record<string, Secret>>;
  readonly resource: Readonly<Record<string, string>>;
  /** 0 to 1. */
  readonly sampledPart: number;
  /** Between two posts. */
  readonly delayMs: number;
}

/** The variables, for the help and the documentation. */
export const TRACING_VARIABLES: readonly (readonly [string, string])[] = Object.freeze([
  ['OTEL_EXPORTER_OTLP_ENDPOINT', 'A collector that takes traces over OTLP/HTTP, as http://127.0.0.1:4318.'],
  ['OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', 'The same, as a whole URL for traces.'],
  ['OTEL_EXPORTER_OTLP_HEADERS', 'Headers for it: name=value, separated by commas.'],
  ['OTEL_SERVICE_NAME', "This server's name in traces; understudy without it."],
  ['OTEL_RESOURCE_ATTRIBUTES', 'What else describes it: name=value, separated by commas.'],
  ['OTEL_TRACES_SAMPLER', 'always_on, always_off, traceidratio, or one of these behind parentbased_.'],
  ['OTEL_BSP_SCHEDULE_DELAY', 'Between two posts, in milliseconds; 2000 without it.'],
  ['OTEL_TRACES_SAMPLER_ARG', 'For traceidratio: the part of the traces that is kept, 0 to 1.'],
  [
    'OTEL_TRACES_EXPORTER',
    'none: no traces although there is a collector. OTEL_SDK_DISABLED=true does the same.',
  ],
]);

const ENDPOINT = 'OTEL_EXPORTER_OTLP_ENDPOINT';
const TRACES_ENDPOINT = 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT';
const TRACES_PATH = '/v1/traces';
const DELAY = 'OTEL_BSP_SCHEDULE_DELAY';
const DELAY_MS = 2_000;
const SERVICE = 'understudy';
const PAIRS_MAX = 64;

/** Null where no collector is named. What is wrong is added to `problems`, without a value that may be a key. */
export function readTracingConfig(env: Environment, problems: string[]): TracingConfig | null {
  const isOff =
    readVariable(env, 'OTEL_SDK_DISABLED')?.toLowerCase() === 'true' ||
    readVariable(env, 'OTEL_TRACES_EXPORTER') === 'none';
  const url = isOff ? null : readUrl(env, problems);
  if (url === null) return null;
  const protocol =
    readVariable(env, 'OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') ??
    readVariable(env, 'OTEL_EXPORTER_OTLP_PROTOCOL');
  if (protocol === 'grpc') {
    problems.push(
      'OTEL_EXPORTER_OTLP_PROTOCOL: traces go over HTTP, not grpc; collectors take it at port 4318.',
    );
  }
  const headers = {
    ...readPairs(env, 'OTEL_EXPORTER_OTLP_HEADERS', problems),
    ...readPairs(env, 'OTEL_EXPORTER_OTLP_TRACES_HEADERS', problems),
  };
  const service = readVariable(env, 'OTEL_SERVICE_NAME');
  return {
    url,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, new Secret(value)])),
    resource: {
      'service.name': SERVICE,
      ...readPairs(env, 'OTEL_RESOURCE_ATTRIBUTES', problems),
      ...(service === null ? {} : { 'service.name': service }),
    },
    sampledPart: readSampledPart(env, problems),
    delayMs: readDelay(env, problems),
  };
}

function readUrl(env: Environment, problems: string[]): string | null {
  const whole = readVariable(env, TRACES_ENDPOINT);
  const base = readVariable(env, ENDPOINT);
  const text = whole ?? (base === null ? null : base.replace(/\/+$/, '') + TRACES_PATH);
  if (text === null) return null;
  if (/^https?:$/.test(URL.parse(text)?.protocol ?? '')) return text;
  problems.push(`${whole === null ? ENDPOINT : TRACES_ENDPOINT} must be a URL like http://127.0.0.1:4318.`);
  return null;
}

/** `name=value,name=value`, with escapes as in URLs. */
function readPairs(env: Environment, variable: string, problems: string[]): Record<string, string> {
  const pairs: Record<string, string> = {};
  const text = readVariable(env, variable);
  for (const part of (text ?? '').split(',', PAIRS_MAX).map((one) => one.trim())) {
    if (part === '') continue;
    const [name, value] = toPair(part);
    if (name === '' || value === null) {
      problems.push(`${variable} must be pairs like name=value, separated by commas.`);
      return {};
    }
    pairs[name] = value;
  }
  return pairs;
}

function toPair(part: string): readonly [name: string, value: string | null] {
  const at = part.indexOf('=');
  if (at === -1) return [part, null];
  try {
    return [part.slice(0, at).trim(), decodeURIComponent(part.slice(at + 1).trim())];
  } catch {
    return ['', null];
  }
}

function readDelay(env: Environment, problems: string[]): number {
  const text = readVariable(env, DELAY);
  if (text === null) return DELAY_MS;
  if (/^\d{1,6}$/.test(text) && Number(text) > 0) return Number(text);
  problems.push(`${DELAY} must be a number of milliseconds.`);
  return DELAY_MS;
}

function readSampledPart(env: Environment, problems: string[]): number {
  const sampler = (readVariable(env, 'OTEL_TRACES_SAMPLER') ?? 'always_on').replace(/^parentbased_/, '');
  if (sampler === 'always_on') return 1;
  if (sampler === 'always_off') return 0;
  if (sampler !== 'traceidratio') {
    problems.push(
      'OTEL_TRACES_SAMPLER must be always_on, always_off or traceidratio, or that behind parentbased_.',
    );
    return 1;
  }
  const part = Number(readVariable(env, 'OTEL_TRACES_SAMPLER_ARG') ?? '1');
  if (part >= 0 && part <= 1) return part;
  problems.push('OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1.');
  return 1;
}
