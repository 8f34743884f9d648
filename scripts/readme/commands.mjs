/** What README.md tells its reader to type, and to write. */

/** @typedef {{ language: string, text: string, line: number }} Block */

/** @param {string} readme @returns {Block[]} The blocks of code, with the line that each begins at. */
export function readBlocks(readme) {
  /** @type {Block[]} */
  const blocks = [];
  /** @type {Block | null} */
  let open = null;
  for (const [index, line] of readme.split('\n').entries()) {
    const fence = /^```(\w*)/.exec(line);
    if (fence !== null && open === null) open = { language: fence[1] ?? '', text: '', line: index + 2 };
    else if (fence !== null && open !== null) {
      blocks.push(open);
      open = null;
    } else if (open !== null) open.text += `${line}\n`;
  }
  if (open !== null) throw new Error(`README.md: the block of line ${open.line} has no end.`);
  return blocks;
}

/**
 * The commands of a block, without comments; lines that end with `\` go on in the next.
 * @param {string} script
 * @returns {string[]}
 */
export function readCommands(script) {
  return script
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => line.replace(/(^|\s+)#.*$/, '').trim())
    .filter((line) => line !== '');
}

/**
 * Both programs of a block that shows a change: what it was, what it is.
 * @param {string} diff
 * @returns {{ before: string, after: string }}
 */
export function readChange(diff) {
  const lines = diff.split('\n');
  /** @param {string} sign */
  const without = (sign) =>
    lines
      .filter((line) => !line.startsWith(sign))
      .map((line) => line.replace(/^[-+ ]/, ''))
      .join('\n');
  return { before: without('+'), after: without('-') };
}

const PROGRAM = /^(npm start( --)?|dist\/understudy)(?=\s|$)/;
/** What does something and ends; everything else serves. */
const ENDING = /^(check|health|keys|copy|verify|licenses|help)\b|(^|\s)--(help|version)\b/;

/**
 * Whether a command starts a server, which goes on until it is told to stop.
 * @param {string} command
 */
export function isServer(command) {
  return PROGRAM.test(command) && !ENDING.test(command.replace(PROGRAM, '').trim());
}
