/** What is in a server, and what stands around it. */

import { type Box, toArrow, toBox } from './shapes.ts';
import { toRect, toSvg, toText } from './svg.ts';

const WIDTH = 900;
const HEIGHT = 526;
/** The server's own box. */
const SERVER = Object.freeze({ left: 214, right: 686, top: 76, bottom: 398 });

interface Column {
  readonly x: number;
  readonly width: number;
}

const PROGRAMS: Column = { x: 24, width: 160 };
const MODELS: Column = { x: 716, width: 160 };
/** What stands inside of a worker, side by side. */
const INNER: readonly [Column, Column, Column] = [
  { x: 242, width: 130 },
  { x: 385, width: 130 },
  { x: 528, width: 130 },
];

const AROUND: readonly Box[] = [
  {
    ...PROGRAMS,
    y: 120,
    height: 72,
    title: 'OpenAI’s SDKs',
    lines: ['with another base URL;', 'TypeScript, Python, …'],
  },
  {
    ...PROGRAMS,
    y: 208,
    height: 72,
    title: 'patch(client)',
    lines: ['keys of the models,', 'request by request'],
  },
  { ...PROGRAMS, y: 296, height: 72, title: 'anything else', lines: ['LangChain, LlamaIndex,', 'curl'] },
  {
    ...MODELS,
    y: 120,
    height: 72,
    title: 'hosted models',
    lines: ['OpenAI, Anthropic,', 'Google, Amazon, …'],
  },
  {
    ...MODELS,
    y: 208,
    height: 72,
    title: 'your own models',
    lines: ['Ollama, vLLM,', 'llama.cpp, LM Studio'],
  },
  {
    ...MODELS,
    y: 296,
    height: 72,
    title: 'embedding models',
    lines: ['search by meaning; by', 'words without any'],
  },
];

const [FIRST, SECOND, THIRD] = INNER;
const INSIDE: readonly Box[] = [
  {
    x: 242,
    width: 416,
    y: 148,
    height: 56,
    title: 'routes',
    lines: ['one file a resource: path, schema, one call; keys and limits'],
  },
  { ...FIRST, y: 218, height: 74, title: 'services', lines: ['the rules of', 'each resource'] },
  {
    ...SECOND,
    y: 218,
    height: 74,
    title: 'run engine',
    lines: ['steps, events,', 'leases, takeover'],
    as: 'own-soft',
  },
  { ...THIRD, y: 218, height: 74, title: 'router', lines: ['name, headers to', 'provider, key'] },
  { ...FIRST, y: 306, height: 74, title: 'ingest', lines: ['documents to', 'chunks, vectors'] },
  { ...SECOND, y: 306, height: 74, title: 'retrieval', lines: ['words + vectors,', 'citations'] },
  { ...THIRD, y: 306, height: 74, title: 'ports', lines: ['records, bytes,', 'index, providers'] },
];

const STORES: readonly Box[] = [
  {
    x: 226,
    width: 146,
    y: 436,
    height: 74,
    title: 'SQLite',
    lines: ['three files, nothing', 'to install'],
    as: 'good-soft',
  },
  {
    x: 385,
    width: 130,
    y: 436,
    height: 74,
    title: 'Cassandra',
    lines: ['and DSE: servers', 'share a cluster'],
    as: 'good-soft',
  },
  {
    x: 528,
    width: 146,
    y: 436,
    height: 74,
    title: 'Astra DB',
    lines: ['one database, or', 'one a tenant'],
    as: 'good-soft',
  },
];

export function drawArchitecture(): string {
  const { left, right, top, bottom } = SERVER;
  const parts = [
    toText(24, 36, 'understudy, from a program to a model', { as: 'title' }),
    toText(24, 58, 'The grey box is one executable.', { as: 'quiet' }),
    toText(PROGRAMS.x, 106, 'Programs', { as: 'strong quiet' }),
    toText(MODELS.x, 106, 'Language models', { as: 'strong quiet' }),
    toText(24, 470, 'Stores', { as: 'strong quiet' }),
    toText(24, 488, 'records, bytes of files,', { as: 'small quiet' }),
    toText(24, 503, 'index of what they say', { as: 'small quiet' }),
    toRect(left, top, right - left, bottom - top, 'shade', 10),
    toText(left + 14, 98, 'primary process', { as: 'strong' }),
    toText(left + 142, 98, 'starts, watches and drains workers; counts limits', { as: 'small quiet' }),
    // A second worker looks out from behind the first.
    toRect(left + 20, 116, 444, 274, 'box', 8),
    toRect(left + 14, 110, 444, 276, 'box', 8),
    toText(242, 134, 'worker 1 … N', { as: 'strong' }),
    toText(left + 142, 134, 'share the port, and take over each other’s runs', { as: 'small quiet' }),
    ...[...AROUND, ...INSIDE, ...STORES].flatMap(toBox),
    ...AROUND.flatMap(({ x, y, width, height }) => {
      const middle = y + height / 2;
      return x < left
        ? toArrow([
            [x + width, middle],
            [left - 2, middle],
          ])
        : toArrow([
            [right, middle],
            [x - 2, middle],
          ]);
    }),
    ...STORES.flatMap(({ x, y, width }) =>
      toArrow([
        [x + width / 2, bottom],
        [x + width / 2, y - 2],
      ]),
    ),
  ];
  return toSvg({
    width: WIDTH,
    height: HEIGHT,
    title: 'Architecture of understudy',
    description:
      'Programs with OpenAI’s SDKs, with patch(client) or anything else call a server, which is one executable. In it a primary process starts, watches and ' +
      'drains workers, which share the port and take over each other’s runs. A worker has routes; behind them services, the run engine and the router; and ' +
      'ingest, retrieval and ports. It calls hosted models, your own models and embedding models, and keeps everything in SQLite, in Cassandra or in Astra DB.',
    parts,
  });
}
