/** Forms as bytes, as clients write them, and connections that misbehave. */

export interface FormPart {
  /** The header lines, without line ends. */
  readonly headers: readonly string[];
  readonly content: string | Uint8Array;
}

export const BOUNDARY = '----boundary4471';
export const FORM_TYPE = `multipart/form-data; boundary=${BOUNDARY}`;

export function toField(name: string, value: string): FormPart {
  return { headers: [`Content-Disposition: form-data; name="${name}"`], content: value };
}

/** `disposition` follows `form-data; name="…"; `: `filename="a.txt"`. */
export function toFilePart(
  name: string,
  disposition: string,
  content: string | Uint8Array,
  type: string | null = 'application/octet-stream',
): FormPart {
  return {
    headers: [
      `Content-Disposition: form-data; name="${name}"; ${disposition}`,
      ...(type === null ? [] : [`Content-Type: ${type}`]),
    ],
    content,
  };
}

export function toFormBytes(parts: readonly FormPart[]): Uint8Array {
  const chunks: (string | Uint8Array)[] = [];
  for (const { headers, content } of parts) {
    chunks.push(`--${BOUNDARY}\r\n${headers.join('\r\n')}\r\n\r\n`, content, '\r\n');
  }
  chunks.push(`--${BOUNDARY}--\r\n`);
  return Buffer.concat(chunks.map((chunk) => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk)));
}

/** What ends a form behind its last part's content. */
export const FORM_END = `\r\n--${BOUNDARY}--\r\n`;

/** A form up to where the content of its last part would end. */
export function toOpenForm(parts: readonly FormPart[]): Uint8Array {
  return toFormBytes(parts).slice(0, -FORM_END.length);
}

/** The bytes in portions of this size. */
export function toPortions(bytes: Uint8Array, portion: number): ReadableStream<Uint8Array> {
  let at = 0;
  return new ReadableStream({
    pull(controller) {
      if (at < bytes.length) controller.enqueue(bytes.slice(at, at + portion));
      at += portion;
      if (at >= bytes.length) controller.close();
    },
  });
}

export interface RawConnection {
  write(bytes: string | Uint8Array): Promise<void>;
  /** What has come back so far. */
  received(): string;
  readonly closed: Promise<void>;
  /** Without a word. */
  abort(): void;
}

/** A connection to a server, spoken to by hand. */
export async function connectRaw(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const decoder = new TextDecoder();
  const { promise: closed, resolve: setClosed } = Promise.withResolvers<void>();
  let text = '';
  let onDrain: (() => void) | null = null;
  const socket = await Bun.connect({
    hostname,
    port: Number(port),
    socket: {
      data(_, bytes) {
        text += decoder.decode(bytes, { stream: true });
      },
      drain: () => onDrain?.(),
      close: () => setClosed(),
      error: () => setClosed(),
    },
  });
  return {
    async write(bytes) {
      let rest = typeof bytes === 'string' ? Buffer.from(bytes) : bytes;
      while (rest.length > 0) {
        const written = socket.write(rest);
        if (written < 0) throw new Error('the connection is closed');
        rest = rest.subarray(written);
        if (rest.length === 0) break;
        const { promise, resolve } = Promise.withResolvers<void>();
        onDrain = resolve;
        await Promise.race([promise, closed]);
      }
    },
    received: () => text,
    closed,
    abort: () => socket.terminate(),
  };
}

/** The head of a request whose body comes in chunks, or has a length. */
export function toHead(path: string, length: number | null): string {
  const framing = length === null ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`;
  return `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: ${FORM_TYPE}\r\n${framing}\r\n\r\n`;
}
