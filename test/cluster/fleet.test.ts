import { describe, expect, test } from 'bun:test';
import { answerQuestion, createFleetChannel, FleetError } from '../../src/cluster/fleet.ts';
import type { WorkerMessage } from '../../src/cluster/messages.ts';

const WORKER = { serial: 7, slot: 2 };

function open(isOpen = true) {
  const sent: Extract<WorkerMessage, { kind: 'question' }>[] = [];
  const channel = createFleetChannel((message) => {
    if (isOpen && message.kind === 'question') sent.push(message);
    return isOpen;
  });
  return { channel, sent };
}

describe('a question of a worker', () => {
  test('gets the answer of its own id, in whatever order answers come', async () => {
    const { channel, sent } = open();
    const [first, second] = [channel.ask('a', 1), channel.ask('b', 2)];
    for (const { id, topic } of sent.toReversed()) {
      channel.take({ kind: 'answer', id, problem: null, body: topic });
    }
    expect(await Promise.all([first, second])).toEqual(['a', 'b']);
  });

  test('fails with what the primary says is wrong, when the primary goes, and when it is gone', async () => {
    const { channel, sent } = open();
    const [refused, cut] = [channel.ask('a', null), channel.ask('a', null)];
    channel.take({ kind: 'answer', id: sent[0]?.id ?? 0, problem: 'No.', body: null });
    await expect(refused).rejects.toThrow(new FleetError('No.'));
    channel.close();
    await expect(cut).rejects.toThrow('The primary is gone.');
    await expect(open(false).channel.ask('a', null)).rejects.toThrow('The primary is gone.');
  });

  test('an answer that nobody waits for any more is no fault', () => {
    open().channel.take({ kind: 'answer', id: 99, problem: 'late', body: null });
  });
});

test('a notice reaches everybody who listens to its topic, and nobody else', () => {
  const { channel } = open();
  const heard: unknown[] = [];
  channel.onNotice('a', (body) => heard.push(['first', body]));
  channel.onNotice('a', (body) => heard.push(['second', body]));
  channel.onNotice('b', () => heard.push('another'));
  channel.take({ kind: 'notice', topic: 'a', body: 5 });
  expect(heard).toEqual([
    ['first', 5],
    ['second', 5],
  ]);
});

test('a notice that comes before anybody listens is heard by the first who does: workers are told while they start', () => {
  const { channel } = open();
  channel.take({ kind: 'notice', topic: 'a', body: 'old' });
  channel.take({ kind: 'notice', topic: 'a', body: 'new' });
  const heard: unknown[] = [];
  channel.onNotice('a', (body) => heard.push(body));
  channel.onNotice('a', (body) => heard.push(body));
  expect(heard).toEqual(['new']);
});

describe('the primary', () => {
  const ask = (topic: string, body: unknown = null) =>
    answerQuestion(
      [
        { answers: { double: (given) => Number(given) * 2 } },
        {
          answers: {
            who: async (_, worker) => worker,
            fail: () => {
              throw new Error('It cannot.');
            },
          },
        },
      ],
      WORKER,
      { kind: 'question', id: 3, topic, body },
    );

  test('answers by whichever part knows the topic, and tells it who asks', async () => {
    expect(await ask('double', 4)).toEqual({ kind: 'answer', id: 3, problem: null, body: 8 });
    expect(await ask('who')).toEqual({ kind: 'answer', id: 3, problem: null, body: WORKER });
  });

  test('says what is wrong where a part fails, or none knows the topic', async () => {
    expect(await ask('fail')).toMatchObject({ problem: 'It cannot.', body: null });
    expect(await ask('toString')).toMatchObject({ problem: "The primary does not know 'toString'." });
  });
});
