/** Numbers of a sheet as they are shown: decimals, thousands, percent, currencies; dates in ISO's form. */

export interface NumberFormats {
  /** `style` is the cell's; `raw` stands where the value is no number. */
  show(value: number, style: number, raw: string): string;
}

/** Formats that files do not spell out, those that matter here; dates and times are told by their number. */
const BUILT_IN: Readonly<Record<number, string>> = {
  1: '0',
  2: '0.00',
  3: '#,##0',
  4: '#,##0.00',
  9: '0%',
  10: '0.00%',
  11: '0.00E+00',
  37: '#,##0',
  38: '#,##0',
  39: '#,##0.00',
  40: '#,##0.00',
  48: '##0.0E+0',
};

type Kind = 'date' | 'time' | 'moment' | 'span' | 'number';

interface Shown {
  readonly kind: Kind;
  readonly code: string;
}

const DAY_MS = 86_400_000;
/** Day 0 of Excel, which takes 1900 for a leap year: right from March 1900 on. */
const EPOCH_1900_MS = Date.UTC(1899, 11, 30);
const EPOCH_1904_MS = Date.UTC(1904, 0, 1);
/** 9999-12-31. */
const DAYS_MAX = 2_958_466;
const DECIMALS_MAX = 15;

export function createNumberFormats(
  codes: ReadonlyMap<number, string>,
  cellFormats: readonly number[],
  is1904: boolean,
): NumberFormats {
  const shownByStyle = new Map<number, Shown>();
  const toDigits = createDigits();
  const find = (style: number): Shown => {
    const known = shownByStyle.get(style);
    if (known !== undefined) return known;
    const id = cellFormats[style] ?? 0;
    const code = codes.get(id) ?? BUILT_IN[id] ?? '';
    const shown = { kind: toKind(id, code), code };
    shownByStyle.set(style, shown);
    return shown;
  };
  return {
    show(value, style, raw) {
      if (!Number.isFinite(value)) return raw;
      const { kind, code } = find(style);
      if (kind === 'number') return showNumber(value, code, toDigits);
      if (kind === 'span') return showSpan(value);
      return value >= 0 && value < DAYS_MAX ? showMoment(value, kind, is1904) : showGeneral(value);
    },
  };
}

function toKind(id: number, code: string): Kind {
  if (code === '') {
    if (id >= 14 && id <= 17) return 'date';
    if ((id >= 18 && id <= 21) || id === 45 || id === 47) return 'time';
    if (id === 22) return 'moment';
    if (id === 46) return 'span';
    return (id >= 27 && id <= 36) || (id >= 50 && id <= 58) ? 'date' : 'number';
  }
  const bare = (code.split(';')[0] ?? '').replace(/"[^"]*"|\\.|\[(?!h+\]|m+\]|s+\])[^\]]*\]|_.|\*./gi, '');
  if (/\[(?:h+|m+|s+)\]/i.test(bare)) return 'span';
  if (/general/i.test(bare)) return 'number';
  const hasTime = /[hs]/i.test(bare);
  const hasDate = /[yd]/i.test(bare) || (/m/i.test(bare) && !hasTime);
  if (hasDate && hasTime) return 'moment';
  if (hasDate) return 'date';
  return hasTime ? 'time' : 'number';
}

function showMoment(value: number, kind: Kind, is1904: boolean): string {
  // Whole seconds: a day's fraction does not hold times exactly.
  const ms = Math.round((value * DAY_MS) / 1000) * 1000;
  const iso = new Date((is1904 ? EPOCH_1904_MS : EPOCH_1900_MS) + ms).toISOString();
  const date = iso.slice(0, 10);
  const time = iso.slice(11, 19).replace(/:00$/, '');
  if (kind === 'date') return date;
  return kind === 'time' ? time : `${date} ${time}`;
}

/** Hours beyond a day: `26:30`. */
function showSpan(value: number): string {
  const seconds = Math.round(Math.abs(value) * 86_400);
  const two = (part: number): string => String(part).padStart(2, '0');
  const rest = seconds % 60 === 0 ? '' : `:${two(seconds % 60)}`;
  return `${value < 0 ? '-' : ''}${Math.floor(seconds / 3600)}:${two(Math.floor((seconds % 3600) / 60))}${rest}`;
}

type Digits = (value: number, least: number, most: number, isGrouped: boolean) => string;

/** Making a formatter takes longer than a thousand uses of it. */
function createDigits(): Digits {
  const made = new Map<string, Intl.NumberFormat>();
  return (value, least, most, isGrouped) => {
    const key = `${least} ${most} ${isGrouped}`;
    const format =
      made.get(key) ??
      new Intl.NumberFormat('en-US', {
        minimumFractionDigits: least,
        maximumFractionDigits: most,
        useGrouping: isGrouped,
      });
    made.set(key, format);
    return format.format(value);
  };
}

function showNumber(value: number, code: string, toDigits: Digits): string {
  const [positive = '', negative] = code.split(';');
  const section = value < 0 && negative !== undefined ? negative : positive;
  const literals = section.replace(/\[\$([^\]-]*)[^\]]*\]/g, '"$1"').replace(/\[[^\]]*\]|_.|\*./g, '');
  const bare = literals.replace(/"[^"]*"|\\./g, '');
  const digits = /[#0?][#0?,]*(?:\.([#0?]*),*)?/.exec(bare);
  if (digits === null || /general|e[+-]/i.test(bare) || bare.includes('/')) return showGeneral(value);
  const isPercent = bare.includes('%');
  // Each comma behind the last digit divides by a thousand.
  const thousands = /,+(?=[^#0?]*$)/.exec(digits[0])?.[0].length ?? 0;
  const scaled = (Math.abs(value) * (isPercent ? 100 : 1)) / 1000 ** thousands;
  const pattern = digits[1] ?? '';
  const most = Math.min(DECIMALS_MAX, pattern.length);
  const least = Math.min(most, pattern.replace(/[^0]+$/, '').length);
  const text = toDigits(scaled, least, most, /[#0?],[#0?]/.test(bare));
  const [before = '', after = ''] = splitLiterals(literals);
  const isNegative = value < 0 && negative === undefined;
  return `${isNegative ? '-' : ''}${before}${text}${after}`.trim();
}

/** What stands before and behind the digits: currencies, units, brackets of negative numbers. */
function splitLiterals(section: string): [string, string] {
  const first = section.search(/[#0?](?=(?:[^"]*"[^"]*")*[^"]*$)/);
  const last =
    section.length -
    [...section]
      .reverse()
      .join('')
      .search(/[#0?](?=(?:[^"]*"[^"]*")*[^"]*$)/);
  const toText = (part: string): string =>
    part.replace(/\\(.)/g, '$1').replaceAll('"', '').replaceAll(',', '');
  return first < 0 ? ['', ''] : [toText(section.slice(0, first)), toText(section.slice(last))];
}

/** Fifteen digits, as many as a sheet holds: `0.1 + 0.2` is 0.3. */
function showGeneral(value: number): string {
  return String(Number(value.toPrecision(15)));
}
