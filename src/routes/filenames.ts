/** Names of files as they come in forms, and as they go out in headers. */

/** `=?UTF-8?B?…?=`: how mail programs, and some clients, write what is not ASCII. */
const ENCODED_WORD = /=\?([\w-]{1,40})\?([BQ])\?([^?\s]*)\?=/gi;
/** What forms escape in a name, by the HTML standard; nothing else is. */
const ESCAPES: Readonly<Record<string, string>> = Object.freeze({ '%22': '"', '%0D': '\r', '%0A': '\n' });
/** Beyond it, clients are not sure to find the name's end. */
const ASCII_NAME_MAX = 200;

/** The name alone, without the folders that some clients send along; empty where there is none. */
export function toFilename(sent: string): string {
  const text = decodeWords(sent).replace(
    /%(22|0D|0A)/gi,
    (written) => ESCAPES[written.toUpperCase()] ?? written,
  );
  const name = text.slice(Math.max(text.lastIndexOf('/'), text.lastIndexOf('\\')) + 1);
  return name === '.' || name === '..' ? '' : name;
}

/** Words that cannot be decoded stay as they are. */
function decodeWords(text: string): string {
  if (!text.includes('=?')) return text;
  // Blanks between two encoded words only separate them.
  const joined = text.replace(/(\?=)\s+(?==\?)/g, '$1');
  return joined.replace(ENCODED_WORD, (word, charset: string, kind: string, content: string) => {
    try {
      const bytes = kind.toUpperCase() === 'B' ? Buffer.from(content, 'base64') : decodeQuoted(content);
      return new TextDecoder(charset as Bun.Encoding, { fatal: true }).decode(bytes);
    } catch {
      return word;
    }
  });
}

function decodeQuoted(content: string): Uint8Array {
  const text = content
    .replaceAll('_', ' ')
    .replace(/=([0-9a-f]{2})/gi, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
  return Buffer.from(text, 'latin1');
}

/** Saved under this name, never shown in place; both forms of RFC 6266, the second for what is not ASCII. */
export function toAttachment(filename: string): string {
  const ascii = filename
    .replace(/[^\x20-\x7e]/g, '_')
    .replace(/["\\]/g, '\\$&')
    .slice(0, ASCII_NAME_MAX);
  const encoded = encodeURIComponent(filename.toWellFormed()).replace(
    /['()*!]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `attachment; filename="${ascii.replace(/\\$/, '')}"; filename*=UTF-8''${encoded}`;
}

/** What was sent where that says anything, else what the name says, else bytes. */
export function toContentType(filename: string, sent: string | null): string {
  const isTelling = sent !== null && sent !== 'application/octet-stream' && sent !== 'text/plain';
  if (isTelling && /^[\w!#$&^.+-]+\/[\w!#$&^.+-]+$/.test(sent)) return sent;
  const [known = 'application/octet-stream'] = Bun.file(toPlainName(filename)).type.split(';');
  return known === 'application/octet-stream' && sent === 'text/plain' ? sent : known;
}

/** The ending tells the type; nothing else of the name is handed to anything that looks at paths. */
function toPlainName(filename: string): string {
  return `file${/\.[a-z0-9]{1,10}$/i.exec(filename)?.[0].toLowerCase() ?? ''}`;
}
