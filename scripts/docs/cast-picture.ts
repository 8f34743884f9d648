/** Draws what was printed in a terminal as an SVG that plays it, once, and stays as it ends: nothing but styles, so that pages show it as a picture. */

/** A command, and the pieces of what it printed, as they came. */
export interface Scene {
  readonly command: string;
  readonly printed: readonly string[];
}

/** A piece of one line. */
interface Piece {
  readonly row: number;
  readonly column: number;
  readonly text: string;
  readonly atMs: number;
  readonly isCommand: boolean;
}

const CELL_WIDTH = 7.8;
const CELL_HEIGHT = 17;
const MARGIN = 16;
const BAR_HEIGHT = 30;
const PROMPT = '$ ';
const LETTER_MS = 28;
const PIECE_MS = 45;
const LINE_MS = 70;
const PAUSE_MS = 900;

/**
 * @param columns The terminal's width, where lines are cut into several.
 */
export function drawCast(scenes: readonly Scene[], columns: number): string {
  const pieces = toPieces(scenes, columns);
  const rows = Math.max(...pieces.map(({ row }) => row)) + 1;
  const width = Math.ceil(columns * CELL_WIDTH + 2 * MARGIN);
  const height = BAR_HEIGHT + rows * CELL_HEIGHT + 2 * MARGIN - 4;
  const title = scenes.map(({ command }) => command).join(', then ');
  const text = scenes.map(({ command, printed }) => `${PROMPT}${command}\n${printed.join('')}`).join('\n');
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title what">
<title id="title">${toXml(title)}</title>
<desc id="what">${toXml(text)}</desc>
<style>
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#c9d1d9;white-space:pre}
.c{fill:#7ee787;font-weight:600}
@media (prefers-reduced-motion:no-preference){text{opacity:0;animation:s 1ms linear forwards;animation-delay:calc(var(--t)*1ms)}}
@keyframes s{to{opacity:1}}
</style>
<rect width="${width}" height="${height}" rx="9" fill="#0d1117"/>
<path d="M0 9a9 9 0 0 1 9-9h${width - 18}a9 9 0 0 1 9 9v${BAR_HEIGHT - 9}H0z" fill="#21262d"/>
<circle cx="20" cy="15" r="5.5" fill="#ff5f57"/><circle cx="39" cy="15" r="5.5" fill="#febc2e"/><circle cx="58" cy="15" r="5.5" fill="#28c840"/>
${pieces.map(drawPiece).join('\n')}
</svg>
`;
}

function drawPiece({ row, column, text, atMs, isCommand }: Piece): string {
  const x = round(MARGIN + column * CELL_WIDTH);
  const y = BAR_HEIGHT + MARGIN + row * CELL_HEIGHT + 8;
  // Fonts differ in width: the length holds the columns together.
  const length = round(text.length * CELL_WIDTH);
  const mark = isCommand ? ' class="c"' : '';
  return `<text x="${x}" y="${y}" textLength="${length}"${mark} style="--t:${Math.round(atMs)}">${toXml(text)}</text>`;
}

function toPieces(scenes: readonly Scene[], columns: number): Piece[] {
  const pieces: Piece[] = [];
  let row = 0;
  let atMs = 300;
  for (const { command, printed } of scenes) {
    for (const [index, letter] of [...`${PROMPT}${command}`].entries()) {
      if (index >= PROMPT.length) atMs += LETTER_MS;
      if (letter !== ' ') pieces.push({ row, column: index, text: letter, atMs, isCommand: true });
    }
    atMs += PAUSE_MS / 2;
    row += 1;
    let column = 0;
    for (const piece of printed.flatMap(toPlayed)) {
      atMs += piece.endsWith('\n') ? LINE_MS : PIECE_MS;
      for (const line of wrap(piece, column, columns)) {
        if (line === '\n') {
          row += 1;
          column = 0;
          continue;
        }
        // A space that nothing is drawn for costs nothing.
        const indent = line.length - line.trimStart().length;
        const text = line.trim();
        if (text !== '') pieces.push({ row, column: column + indent, text, atMs, isCommand: false });
        column += line.length;
      }
    }
    atMs += PAUSE_MS;
    row += column === 0 ? 1 : 2;
  }
  return pieces;
}

/** What comes at once is played line by line. */
function toPlayed(chunk: string): string[] {
  return chunk.split(/(?<=\n)/);
}

/** The parts of a piece, cut where the terminal's line ends, with `\n` for each new line. */
function wrap(piece: string, column: number, columns: number): string[] {
  const parts: string[] = [];
  let at = column;
  for (const line of piece.split(/(\n)/).filter((part) => part !== '')) {
    if (line === '\n') {
      parts.push('\n');
      at = 0;
      continue;
    }
    for (let rest = line; rest !== ''; ) {
      if (at >= columns) {
        parts.push('\n');
        at = 0;
      }
      parts.push(rest.slice(0, columns - at));
      const taken = Math.min(rest.length, columns - at);
      rest = rest.slice(taken);
      at += taken;
    }
  }
  return parts;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}

function toXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
