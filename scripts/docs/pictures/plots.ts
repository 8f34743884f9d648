/** The plots of `docs/benchmarks.md`, drawn from what the benches have measured. */

import { type Distribution, type Figure, type Run, toShown } from '../../../bench/support/results.ts';
import type { Results } from '../results.ts';
import { type Bar, type BarGroup, drawBars } from './bars.ts';

/** By the name of its file in `docs/pictures`. Errors: figures that have not been measured. */
export function drawPlots(results: Results): Record<string, string> {
  return {
    'gateway.svg': drawGateway(results),
    'first-token.svg': drawFirstToken(results),
    'streams.svg': drawStreams(results),
    'search.svg': drawSearch(results),
    'workers.svg': drawWorkers(results),
    'takeover.svg': drawTakeover(results),
  };
}

function drawGateway(results: Results): string {
  const own = results.get('gateway.per-cpu');
  const peers = results
    .list('gateway')
    .filter(({ figure }) => figure.id.startsWith('over-'))
    .map(({ figure }) => figure);
  const toPeer = (figure: Figure): Bar => {
    const peer = figure.beside?.find(({ name }) => name !== 'understudy');
    if (peer === undefined) throw new Error(`${figure.id} has no peer beside it.`);
    return {
      label: peer.name,
      value: peer.value,
      shown: `${toShown(peer.value, '')} · understudy ${toShown(figure.value, '×')}`,
    };
  };
  const bars: Bar[] = [
    { label: 'a bare relay of Bun’s', value: toBeside(own.figure, 'the bare relay') },
    { label: 'understudy', value: own.figure.value, isOwn: true },
    ...peers.map(toPeer).sort((a, b) => b.value - a.value),
  ];
  return drawBars({
    title: 'Chat completions handed through',
    subtitle:
      'Requests a CPU second, one process each. Longer is better; each line of the scale is ten times the last',
    unit: '',
    isLogarithmic: true,
    groups: [{ name: '', bars }],
    footer: toFooter(results.list('gateway').map(({ run }) => run)),
  });
}

function drawFirstToken(results: Results): string {
  const run = results.get('first-token.added-p50');
  const chat = results.get('gateway.first-token-added-p50');
  const burst = results.get('streams.burst-128-added');
  const runs128 = results.get('streams.runs-128-added');
  const runs400 = results.get('streams.runs-400-added');
  const toBar = (label: string, { value, aim }: Figure): Bar => ({
    label,
    value,
    isOwn: true,
    ...(aim === undefined ? {} : { aim: aim.value }),
  });
  return drawBars({
    title: 'What is added to the time until the first token',
    subtitle:
      'Milliseconds over the model asked directly, p50. Shorter is better; the upright mark is the aim',
    unit: 'ms',
    isLogarithmic: true,
    groups: [
      {
        name: 'One client',
        bars: [
          { label: 'a bare relay of Bun’s', value: toBeside(chat.figure, 'the bare relay') },
          toBar('chat completion', chat.figure),
          toBar('stored run', run.figure),
        ],
      },
      {
        name: 'Many stored runs at once, in one process',
        bars: [
          toBar('128 within a second', runs128.figure),
          toBar('400 within a second', runs400.figure),
          toBar('128 in the same instant', burst.figure),
        ],
      },
    ],
    footer: toFooter([run.run, chat.run, burst.run]),
  });
}

function drawStreams(results: Results): string {
  const toGroup = (count: number): BarGroup => ({
    name: `${count} streams of 50 tokens a second, arriving within a second`,
    bars: (['runs', 'gateway'] as const).map((kind) => {
      const { value, distribution, aim } = results.get(`streams.${kind}-${count}-added`).figure;
      return {
        label: kind === 'runs' ? 'stored runs' : 'chat completions',
        value,
        isOwn: true,
        ...(aim === undefined ? {} : { aim: aim.value }),
        ...toSpread(value, distribution),
      };
    }),
  });
  return drawBars({
    title: 'Many streams through one process',
    subtitle: 'Added time until the first token, ms: the bar is p50; the upright mark is the aim for it',
    unit: 'ms',
    isLogarithmic: false,
    groups: [toGroup(128), toGroup(400)],
    footer: toFooter(results.list('streams').map(({ run }) => run)),
  });
}

/** Marks at p95 and p99, which the text names. */
function toSpread(p50: number, distribution: Distribution | undefined): Pick<Bar, 'marks' | 'shown'> {
  if (distribution === undefined) return {};
  const marks = (['p95', 'p99'] as const).map((name) => ({ name, value: distribution[name] }));
  const others = marks.map(({ name, value }) => `${name} ${toShown(value, '')}`).join(', ');
  return { marks, shown: `p50 ${toShown(p50, '')}, ${others}` };
}

function drawSearch(results: Results): string {
  const toGroup = (id: string): BarGroup => {
    const { figure } = results.get(`vectors.${id}-by-vector`);
    const recall = results.get(`vectors.${id}-recall`).figure;
    const toRecallText = (name: string): string => {
      const found = recall.beside?.find((one) => one.name === name)?.value;
      return found === undefined ? 'exact' : `recall@10 ${found}`;
    };
    const [size = ''] = figure.what.split(':');
    return {
      name: `${size} dimensions`.replace(' × ', ' vectors of '),
      bars: [
        {
          label: 'understudy',
          value: figure.value,
          isOwn: true,
          shown: `${toShown(figure.value, 'ms')} · recall@10 ${recall.value}`,
        },
        ...(figure.beside ?? []).map(({ name, value }) => ({
          label: name,
          value,
          shown: `${toShown(value, 'ms')} · ${toRecallText(name)}`,
        })),
        ...toVectorPeers(results, id),
      ],
    };
  };
  return drawBars({
    title: 'Ten nearest of many vectors',
    subtitle:
      'Milliseconds a search, p50, one client. Shorter is better; each line of the scale is ten times the last',
    unit: 'ms',
    isLogarithmic: true,
    groups: [toGroup('large'), toGroup('many')],
    footer: toFooter(results.list('vectors').map(({ run }) => run)),
  });
}

/** Other vector databases, where they were asked. */
function toVectorPeers(results: Results, id: string): Bar[] {
  return ['faiss', 'chroma', 'lancedb', 'lancedb-index'].flatMap((peer) => {
    const measured = results.find(`vectors.${id}-${peer}`);
    if (measured === null) return [];
    const { what, value, beside } = measured.figure;
    const label = /search by vector, (.*), p50/.exec(what)?.[1] ?? peer;
    const recall = beside?.find((one) => one.name === 'recall@10')?.value ?? Number.NaN;
    return [{ label, value, shown: `${toShown(value, 'ms')} · recall@10 ${toShown(recall, '')}` }];
  });
}

function drawWorkers(results: Results): string {
  const NAMES = {
    mix: 'mixed',
    reads: 'reads',
    runs: 'stored runs',
    chats: 'chat completions',
    writes: 'writes',
  };
  const bars = Object.entries(NAMES).map(([kind, label]): Bar => {
    const { value, aim } = results.get(`load.two-workers-${kind}`).figure;
    return { label, value, isOwn: true, ...(aim === undefined ? {} : { aim: aim.value }) };
  });
  return drawBars({
    title: 'Two workers on two cores',
    subtitle:
      'Times the requests of one worker on one core, by the cores left to them. The upright mark is the aim',
    unit: '×',
    isLogarithmic: false,
    groups: [{ name: '', bars }],
    footer: toFooter([results.get('load.two-workers-mix').run]),
  });
}

function drawTakeover(results: Results): string {
  const found = results.get('takeover.first-taken');
  const killed = results.get('takeover.all-completed');
  return drawBars({
    title: 'A worker is killed while its runs are answered',
    subtitle:
      'Milliseconds from kill -9 in the middle of the runs. Shorter is better; the upright mark is the aim',
    unit: 'ms',
    isLogarithmic: false,
    groups: [
      {
        name: '',
        bars: [
          {
            label: 'nobody killed: last run completed',
            value: toBeside(killed.figure, 'nobody killed'),
          },
          toTakeoverBar('killed: first run taken over', found.figure),
          toTakeoverBar('killed: last run completed', killed.figure),
        ],
      },
    ],
    footer: toFooter([found.run]),
  });
}

function toTakeoverBar(label: string, { value, aim }: Figure): Bar {
  return { label, value, isOwn: true, ...(aim === undefined ? {} : { aim: aim.value }) };
}

function toBeside({ id, beside = [] }: Figure, name: string): number {
  const found = beside.find((one) => one.name === name);
  if (found === undefined) throw new Error(`${id} has no ${name} beside it.`);
  return found.value;
}

/** Where and when; and that it is for a look only, where one of the runs was. */
function toFooter(runs: readonly Run[]): string {
  const [newest] = [...runs].sort((a, b) => (a.date < b.date ? 1 : -1));
  if (newest === undefined) throw new Error('A plot has no run.');
  const { cpu, cores } = newest.machine;
  const quick = runs.some((run) => run.quick) ? 'a quick run, for a look · ' : '';
  return `${quick}${cpu}, ${cores} cores · ${newest.date} · npm run bench`;
}
