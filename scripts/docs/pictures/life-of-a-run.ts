/** A run from its creation to its end: who tells whom, and what is written before it is told. */

import { toArrow, toMessage } from './shapes.ts';
import { toLine, toRect, toSvg, toText } from './svg.ts';

const WIDTH = 900;
const TOP = 112;
const STEP = 38;
/** Where each one's line stands. */
const LANES = Object.freeze({ client: 212, worker: 388, store: 564, model: 716, other: 836 });
const NAMES: Readonly<Record<Lane, string>> = Object.freeze({
  client: 'Program',
  worker: 'Worker 1',
  store: 'Store',
  model: 'Model',
  other: 'Worker 2',
});
type Lane = keyof typeof LANES;

interface Message {
  readonly from: Lane;
  readonly to: Lane;
  readonly text: string;
}

interface Phase {
  /** The run's status meanwhile. */
  readonly status: string;
  readonly as: string;
  readonly messages: readonly (Message | 'killed')[];
}

const PHASES: readonly Phase[] = [
  {
    status: 'queued',
    as: 'shade',
    messages: [
      { from: 'client', to: 'worker', text: 'POST …/runs, stream: true' },
      { from: 'worker', to: 'store', text: 'claim thread; run, lease' },
      { from: 'worker', to: 'client', text: 'thread.run.created' },
    ],
  },
  {
    status: 'in_progress',
    as: 'own-soft',
    messages: [
      { from: 'worker', to: 'model', text: 'the newest messages, as many as fit' },
      { from: 'model', to: 'worker', text: 'tokens' },
      { from: 'worker', to: 'client', text: 'thread.message.delta, …' },
      { from: 'model', to: 'worker', text: 'calls a function of the program' },
      { from: 'worker', to: 'store', text: 'step with its calls' },
    ],
  },
  {
    status: 'requires_action',
    as: 'warn-soft',
    messages: [
      { from: 'worker', to: 'client', text: 'run.requires_action' },
      { from: 'client', to: 'worker', text: 'submit_tool_outputs' },
    ],
  },
  {
    status: 'in_progress',
    as: 'own-soft',
    messages: [
      { from: 'worker', to: 'model', text: 'outputs' },
      'killed',
      { from: 'other', to: 'store', text: 'takes the lease over: last finished step' },
      { from: 'other', to: 'model', text: 'asks again' },
      { from: 'model', to: 'other', text: 'tokens' },
      { from: 'other', to: 'store', text: 'message and step, then the run’s end' },
    ],
  },
  {
    status: 'completed',
    as: 'good-soft',
    messages: [
      { from: 'client', to: 'other', text: 'GET …/runs/run_… from any worker: completed, with usage' },
    ],
  },
];

export function drawLifeOfARun(): string {
  const rows = PHASES.reduce((sum, { messages }) => sum + messages.length, 0);
  const bottom = TOP + rows * STEP + PHASES.length * 8;
  const parts = [
    toText(24, 36, 'The life of a run', { as: 'title' }),
    toText(24, 58, 'What is announced has been written before. Tokens are passed on as they come.', {
      as: 'quiet',
    }),
    toText(24, 96, 'Status', { as: 'strong quiet' }),
  ];
  const messages: string[] = [];
  let y = TOP;
  let diedAt = bottom;
  for (const phase of PHASES) {
    const height = phase.messages.length * STEP;
    messages.push(toRect(24, y, 132, height, phase.as, 6));
    messages.push(toText(34, y + 23, phase.status, { as: 'mono' }));
    for (const [at, message] of phase.messages.entries()) {
      const line = y + at * STEP + 25;
      if (message === 'killed') {
        diedAt = line;
        messages.push(...toDeath(line));
      } else {
        messages.push(...toMessage(LANES[message.from], LANES[message.to], line, message.text));
      }
    }
    y += height + 8;
  }
  for (const [lane, x] of Object.entries(LANES) as [Lane, number][]) {
    parts.push(toRect(x - 46, 76, 92, 28, 'box', 6));
    parts.push(toText(x, 95, NAMES[lane], { as: 'strong', anchor: 'middle' }));
    parts.push(
      toLine(
        [
          [x, 104],
          [x, lane === 'worker' ? diedAt : bottom],
        ],
        'line',
      ),
    );
  }
  parts.push(...messages);
  return toSvg({
    width: WIDTH,
    height: bottom + 16,
    title: 'The life of a run',
    description: describe(),
    parts,
  });
}

function toDeath(y: number): string[] {
  const x = LANES.worker;
  return [
    toLine(
      [
        [x - 7, y - 7],
        [x + 7, y + 7],
      ],
      'warnline',
    ),
    toLine(
      [
        [x - 7, y + 7],
        [x + 7, y - 7],
      ],
      'warnline',
    ),
    toText(x - 14, y + 4, 'kill -9', { as: 'small mono warn', anchor: 'end' }),
    ...toArrow(
      [
        [x + 12, y],
        [LANES.other - 2, y],
      ],
      'warnline dash',
    ),
    toText((x + LANES.other) / 2, y - 6, 'the primary process, or the lease’s end, tells of it', {
      as: 'small label',
      anchor: 'middle',
    }),
  ];
}

function describe(): string {
  const texts = PHASES.map(({ status, messages }) => {
    const told = messages.map((message) =>
      message === 'killed'
        ? 'worker 1 is killed, and worker 2 is told of it'
        : `${NAMES[message.from]} to ${NAMES[message.to]}: ${message.text}`,
    );
    return `${status}: ${told.join('; ')}`;
  });
  return `${texts.join('. ')}.`;
}
