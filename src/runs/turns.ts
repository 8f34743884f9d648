/** The model's turns within one run: what goes back to the model with the next one, rebuilt from the steps. */

import type { Ports } from '../ports.ts';
import type { ChatMessage } from '../providers/provider.ts';
import type { MessageObject as MessageRecord } from '../schemas/generated/messages.ts';
import { PAGE_LIMIT_MAX } from '../store/store.ts';
import {
  type AnsweredCall,
  isFunctionCall,
  type RunRecord,
  type StepRecord,
  toRunScope,
  toThreadScope,
} from './run-records.ts';
import { toShownOutput } from './tools/found-passages.ts';

export interface Turn {
  readonly text: string;
  /** Never empty: a turn without calls ends its run. */
  readonly calls: readonly AnsweredCall[];
  readonly providerMetadata?: unknown;
}

/** What a crash left half done: it is taken up under its own ids. */
export interface Unfinished {
  /** The messages of the turn, in their order: those that were complete before its calls began, and one that was not. */
  readonly messageSteps?: readonly StepRecord[];
  /** Steps whose message is not there: the client has deleted it, or the crash came before it. */
  readonly lostSteps?: readonly StepRecord[];
  readonly toolStep?: StepRecord;
}

export interface History {
  readonly turns: readonly Turn[];
  readonly unfinished: Unfinished;
  /** The number of the turn that comes next. */
  readonly nextTurn: number;
}

export const NO_HISTORY: History = Object.freeze({ turns: [], unfinished: {}, nextTurn: 0 });

/** A run has a bounded number of turns (`ROUNDS_MAX`), and a turn has few steps. */
const STEPS_MAX = PAGE_LIMIT_MAX;

/** Reads the steps of a run, oldest first. */
export async function readSteps(
  deps: Pick<Ports, 'store'>,
  tenant: string,
  runId: string,
): Promise<readonly StepRecord[]> {
  const page = await deps.store.list<StepRecord>('steps', toRunScope(tenant, runId), {
    limit: STEPS_MAX,
    order: 'asc',
  });
  return page.items.map(({ record }) => record);
}

export async function readHistory(
  deps: Pick<Ports, 'store'>,
  tenant: string,
  run: RunRecord,
): Promise<History> {
  const steps = await readSteps(deps, tenant, run.id);
  const byTurn = Map.groupBy(steps, (step) => step.internal.turn);
  const turns: Turn[] = [];
  let unfinished: Unfinished = {};
  let nextTurn = 0;
  for (const [number, stepsOfTurn] of byTurn) {
    const calls = stepsOfTurn.flatMap(toAnsweredCalls);
    // A turn without calls is its run's last: had it been written to its end, the run would have ended.
    const isOpen = calls.length === 0 || stepsOfTurn.some((step) => step.status === 'in_progress');
    if (isOpen) unfinished = await toUnfinished(deps, tenant, stepsOfTurn);
    else turns.push(await toTurn(deps, tenant, stepsOfTurn, calls));
    nextTurn = Math.max(nextTurn, isOpen ? number : number + 1);
  }
  return { turns, unfinished, nextTurn };
}

/** Only the last turn can be unfinished. A message that the client has deleted meanwhile is not taken up. */
async function toUnfinished(
  deps: Pick<Ports, 'store'>,
  tenant: string,
  stepsOfTurn: readonly StepRecord[],
): Promise<Unfinished> {
  const messages = await Promise.all(stepsOfTurn.map((step) => readMessage(deps, tenant, step)));
  const toolStep = stepsOfTurn.find(({ type, status }) => type === 'tool_calls' && status === 'in_progress');
  const told = stepsOfTurn.map((step, index) => ({ step, message: messages[index] ?? null }));
  return {
    messageSteps: told.flatMap(({ step, message }) => (message === null ? [] : [step])),
    lostSteps: told.flatMap(({ step, message }) =>
      message === null && step.type === 'message_creation' ? [step] : [],
    ),
    ...(toolStep === undefined ? {} : { toolStep }),
  };
}

async function toTurn(
  deps: Pick<Ports, 'store'>,
  tenant: string,
  steps: readonly StepRecord[],
  calls: readonly AnsweredCall[],
): Promise<Turn> {
  const texts = await Promise.all(steps.map((step) => readText(deps, tenant, step)));
  const metadata = steps.find((step) => step.internal.provider_metadata !== undefined)?.internal
    .provider_metadata;
  return { text: texts.join(''), calls, ...(metadata === undefined ? {} : { providerMetadata: metadata }) };
}

/** What the model said in a step; nothing where the message has been deleted since. */
async function readText(deps: Pick<Ports, 'store'>, tenant: string, step: StepRecord): Promise<string> {
  const message = await readMessage(deps, tenant, step);
  return (message?.content ?? []).map((part) => (part.type === 'text' ? part.text.value : '')).join('');
}

/** The message of a step; null where the step has none, or it has been deleted. */
async function readMessage(
  deps: Pick<Ports, 'store'>,
  tenant: string,
  step: StepRecord,
): Promise<MessageRecord | null> {
  if (step.step_details.type !== 'message_creation') return null;
  const { message_id: id } = step.step_details.message_creation;
  const found = await deps.store.get<MessageRecord>('messages', toThreadScope(tenant, step.thread_id), id);
  return found?.record ?? null;
}

function toAnsweredCalls(step: StepRecord): AnsweredCall[] {
  if (step.step_details.type !== 'tool_calls') return [];
  return step.step_details.tool_calls.flatMap((call) => {
    const kept = step.internal.server_calls?.find(({ id }) => id === call.id);
    if (kept !== undefined) return [kept];
    if (!isFunctionCall(call)) return [];
    const { name, arguments: args, output } = call.function;
    return [{ id: call.id, name, arguments: args, output: output ?? '' }];
  });
}

/** The turns as the model gets them: its own words and calls, then the outputs. */
export function toTurnMessages(turns: readonly Turn[]): ChatMessage[] {
  return turns.flatMap((turn): ChatMessage[] => [
    {
      role: 'assistant',
      content: turn.text === '' ? null : turn.text,
      tool_calls: turn.calls.map((call) => ({
        id: call.id,
        type: 'function',
        function: { name: call.name, arguments: call.arguments },
      })),
      ...(turn.providerMetadata === undefined ? {} : { provider_metadata: turn.providerMetadata }),
    },
    ...turn.calls.map(
      (call): ChatMessage => ({ role: 'tool', tool_call_id: call.id, content: toShownOutput(call) }),
    ),
  ]);
}
