/** The `Dockerfile`, read: what its stages copy, run and set. */

export interface Instruction {
  /** `COPY`, in capitals. */
  readonly name: string;
  readonly text: string;
}

export interface Stage {
  /** The image that it begins with. */
  readonly from: string;
  /** Null where it has none. */
  readonly name: string | null;
  readonly instructions: readonly Instruction[];
}

export interface Copy {
  /** The stage that it copies from; null: from the project. */
  readonly from: string | null;
  /** `65532:65532`; null where it is not said. */
  readonly owner: string | null;
  readonly sources: readonly string[];
  readonly target: string;
}

export function readDockerfile(text: string): readonly Stage[] {
  const lines = text
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('#'))
    .join('\n')
    .replaceAll(/\\\n/g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const stages: (Stage & { instructions: Instruction[] })[] = [];
  for (const line of lines) {
    const [, name = '', text = ''] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (name === '') throw new Error(`This is no instruction: ${line}`);
    if (name === 'FROM') {
      const [, from = '', alias] = /^(\S+)(?:\s+AS\s+(\S+))?$/.exec(text) ?? [];
      stages.push({ from, name: alias ?? null, instructions: [] });
    } else {
      const stage = stages.at(-1);
      if (stage === undefined) throw new Error(`This comes before the first stage: ${line}`);
      stage.instructions.push({ name, text: text.replaceAll(/\s+/g, ' ') });
    }
  }
  return stages;
}

export function findTexts({ instructions }: Stage, name: string): string[] {
  return instructions.filter((one) => one.name === name).map(({ text }) => text);
}

/** Of the one instruction of that name. */
export function findText(stage: Stage, name: string): string {
  const [text, ...more] = findTexts(stage, name);
  if (text === undefined || more.length > 0) throw new Error(`There is not one ${name}, but ${more.length}.`);
  return text;
}

export function readCopies(stage: Stage): Copy[] {
  return findTexts(stage, 'COPY').map((text) => {
    const words = text.split(' ');
    const read = (flag: string) => words.find((word) => word.startsWith(`--${flag}=`))?.split('=')[1] ?? null;
    const paths = words.filter((word) => !word.startsWith('--'));
    return {
      from: read('from'),
      owner: read('chown'),
      sources: paths.slice(0, -1),
      target: paths.at(-1) ?? '',
    };
  });
}

/** `ENV A=b C=d` as an object; values without spaces. */
export function readEnvironment(stage: Stage): Record<string, string> {
  const words = findTexts(stage, 'ENV').flatMap((text) => text.split(' '));
  return Object.fromEntries(
    words.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]),
  );
}

/** A command in its form as a list of words. */
export function toWords(text: string): string[] {
  const words: unknown = JSON.parse(text.slice(text.indexOf('[')));
  if (!Array.isArray(words)) throw new Error(`This is no list of words: ${text}`);
  return words.map(String);
}
