/**
 * Work in lanes, each of which may have a bounded number under way: who waits for an embedding model that hangs holds up
 * nobody who uses another. Lanes take turns, and so do the groups within one.
 */

import { createGate, type Gate } from '../gate.ts';
import { createFairQueue, type FairQueue } from './fair-queue.ts';

export interface Lane<T> {
  readonly queue: FairQueue<T>;
  /** Calls of the model that the lane's files may have under way together. */
  readonly calls: Gate;
  active: number;
}

export interface Lanes<T> {
  readonly waiting: number;
  readonly active: number;
  push(lane: string, group: string, item: T): void;
  /** The next one that may begin now, and what to call once it has ended; null where there is none. */
  take(): { readonly item: T; readonly lane: Lane<T>; readonly leave: () => void } | null;
  remove(matches: (item: T) => boolean): void;
}

export interface LaneLimits {
  readonly activeMax: number;
  readonly activePerLaneMax: number;
  readonly callsPerLaneMax: number;
}

export function createLanes<T>(limits: LaneLimits): Lanes<T> {
  // A map keeps the order in which lanes came; the one whose turn it was goes to the end.
  const lanes = new Map<string, Lane<T>>();
  let active = 0;

  const toLane = (key: string): Lane<T> => {
    const lane = lanes.get(key) ?? {
      queue: createFairQueue<T>(),
      calls: createGate(limits.callsPerLaneMax),
      active: 0,
    };
    lanes.set(key, lane);
    return lane;
  };

  const dropIfDone = (key: string, lane: Lane<T>): void => {
    if (lane.active === 0 && lane.queue.size === 0 && lanes.get(key) === lane) lanes.delete(key);
  };

  return {
    get waiting() {
      return [...lanes.values()].reduce((sum, { queue }) => sum + queue.size, 0);
    },
    get active() {
      return active;
    },
    push(key, group, item) {
      toLane(key).queue.push(group, item);
    },
    take() {
      if (active >= limits.activeMax) return null;
      for (const [key, lane] of lanes) {
        if (lane.active >= limits.activePerLaneMax) continue;
        const item = lane.queue.take();
        if (item === undefined) continue;
        lane.active += 1;
        active += 1;
        lanes.delete(key);
        lanes.set(key, lane);
        const leave = (): void => {
          lane.active -= 1;
          active -= 1;
          dropIfDone(key, lane);
        };
        return { item, lane, leave };
      }
      return null;
    },
    remove(matches) {
      for (const [key, lane] of lanes) {
        lane.queue.remove(matches);
        dropIfDone(key, lane);
      }
    },
  };
}
