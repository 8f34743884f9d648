/** Finds one field of a form (multipart) as its bytes come by, and where in them its value stands. */

import { ApiError } from '../errors.ts';

export interface FormField {
  readonly value: string;
  /** Positions in the bytes of the form. */
  readonly start: number;
  readonly end: number;
}

export interface FormScanner {
  /** Errors: 400 for bytes that are no form. */
  push(piece: Uint8Array): void;
  /** The field, or the end of the form, has been found. */
  readonly isDone: boolean;
  readonly field: FormField | null;
}

/** Headers of one part, and the value that is looked for. */
const HEAD_BYTES_MAX = 16 * 1024;
const VALUE_BYTES_MAX = 1024;

type State =
  /** Looks for the next delimiter. */
  | 'part'
  /** Behind a delimiter: is it the last one? */
  | 'delimiter'
  | 'head'
  | 'value'
  | 'done';

export function createFormScanner(boundary: string, name: string): FormScanner {
  const delimiter = Buffer.from(`\r\n--${boundary}`);
  // A form begins with a delimiter that has no line before it.
  let window: Buffer = Buffer.from('\r\n');
  /** Position of the window in the form. */
  let offset = -window.length;
  let state: State = 'part';
  let field: FormField | null = null;

  const skip = (bytes: number): void => {
    window = window.subarray(bytes);
    offset += bytes;
  };

  const takePart = (): boolean => {
    const at = window.indexOf(delimiter);
    // All but what may be the beginning of one has been looked at.
    skip(at === -1 ? Math.max(0, window.length - delimiter.length + 1) : at + delimiter.length);
    if (at !== -1) state = 'delimiter';
    return at !== -1;
  };

  const takeDelimiter = (): boolean => {
    if (window.length < 2) return false;
    state = window.toString('latin1', 0, 2) === '--' ? 'done' : 'head';
    return true;
  };

  const takeHead = (): boolean => {
    const at = window.indexOf('\r\n\r\n');
    if (at === -1) {
      if (window.length > HEAD_BYTES_MAX) throw createMalformed();
      return false;
    }
    state = isNamed(window.toString('utf8', 0, at), name) ? 'value' : 'part';
    skip(at + 4);
    return true;
  };

  const takeValue = (): boolean => {
    const at = window.indexOf(delimiter);
    if (at === -1) {
      if (window.length > VALUE_BYTES_MAX + delimiter.length) throw createTooLong(name);
      return false;
    }
    if (at > VALUE_BYTES_MAX) throw createTooLong(name);
    field = { value: window.toString('utf8', 0, at).trim(), start: offset, end: offset + at };
    state = 'done';
    return true;
  };

  const steps: Readonly<Record<Exclude<State, 'done'>, () => boolean>> = {
    part: takePart,
    delimiter: takeDelimiter,
    head: takeHead,
    value: takeValue,
  };

  return {
    push(piece) {
      window = window.length === 0 ? Buffer.from(piece) : Buffer.concat([window, piece]);
      // Each step uses bytes up, or is another one than the last.
      for (let step = state; step !== 'done' && steps[step](); step = state);
    },
    get isDone() {
      return state === 'done';
    },
    get field() {
      return field;
    },
  };
}

/** `content-disposition: form-data; name="model"`, and not a file. */
function isNamed(head: string, name: string): boolean {
  const disposition = /^content-disposition:(.*)$/im.exec(head)?.[1] ?? '';
  const given = /;\s*name="([^"]*)"/i.exec(disposition)?.[1] ?? /;\s*name=([^\s;"]+)/i.exec(disposition)?.[1];
  return given === name && !/;\s*filename\*?=/i.test(disposition);
}

function createMalformed(): ApiError {
  return ApiError.invalidRequest('The form cannot be read: the head of a part does not end.');
}

function createTooLong(name: string): ApiError {
  return ApiError.invalidValue(name, `Invalid '${name}': the form's field is too long.`);
}
