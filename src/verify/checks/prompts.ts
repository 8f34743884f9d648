/** What the model is asked, in words that any model can follow. */

import type OpenAI from 'openai';
import type { Target } from '../target.ts';

export const WEATHER_FUNCTION = Object.freeze({
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather of a city now.',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
  },
} satisfies OpenAI.Beta.FunctionTool);

export const GREETING = 'Say hello in a few words.';
export const WEATHER_QUESTION = 'What is the weather in Oslo?';

/** The least that OpenAI takes. */
export const FEW_TOKENS = 256;

/** An answer that is still being said when it is cancelled. */
export function toLongQuestion({ isRehearsal }: Target): string {
  const question = 'Write a story of two thousand words.';
  return isRehearsal ? `${question}\nrehearsal: words 2000\nrehearsal: slow 20ms` : question;
}

/** An answer that has more than `FEW_TOKENS`. */
export function toBigQuestion({ isRehearsal }: Target): string {
  const question = 'Write a story of two thousand words.';
  return isRehearsal ? `${question}\nrehearsal: words 2000` : question;
}
