import { describe, expect, test } from 'bun:test';
import { decodeText } from '../../src/ingest/charset.ts';

const bytesOf = (...bytes: number[]): Uint8Array => Uint8Array.from(bytes);
const latin1 = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));
const utf16 = (text: string, isBig: boolean, hasMark: boolean): Uint8Array => {
  const buffer = Buffer.from((hasMark ? '\ufeff' : '') + text, 'utf16le');
  return new Uint8Array(isBig ? buffer.swap16() : buffer);
};

/** Encodes by asking the decoder what every sequence of one or two bytes means. */
function createEncoder(charset: string): (text: string) => Uint8Array {
  const decoder = new TextDecoder(charset as Bun.Encoding, { fatal: true });
  const table = new Map<string, number[]>();
  const learn = (...bytes: number[]): void => {
    try {
      const text = decoder.decode(bytesOf(...bytes));
      if ([...text].length === 1 && !table.has(text)) table.set(text, bytes);
    } catch {
      // Not a character.
    }
  };
  for (let first = 0; first < 256; first += 1) learn(first);
  for (let first = 0x81; first < 0xff; first += 1)
    for (let second = 0x40; second < 0xff; second += 1) learn(first, second);
  return (text) =>
    Uint8Array.from(
      [...text].flatMap((char) => {
        const bytes = table.get(char);
        if (bytes === undefined) throw new Error(`${charset} has no ${char}.`);
        return bytes;
      }),
    );
}

const FRENCH =
  'Le château à côté de l’église était déjà fermé ; nous avons dû attendre. Où êtes-vous allés après ? « Là-bas », répondit-elle. ';
const RUSSIAN =
  'Съешь ещё этих мягких французских булок, да выпей же чаю. Широкая электрификация южных губерний даст мощный толчок. ';
const JAPANESE =
  '吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。';
const CHINESE =
  '学而时习之，不亦说乎？有朋自远方来，不亦乐乎？人不知而不愠，不亦君子乎？这是一个关于文字编码的测试文件。';
const TRADITIONAL =
  '學而時習之，不亦說乎？有朋自遠方來，不亦樂乎？人不知而不慍，不亦君子乎？這是一個關於文字編碼的測試文件。';
const KOREAN =
  '대한민국은 민주공화국이다. 대한민국의 주권은 국민에게 있고, 모든 권력은 국민으로부터 나온다. 이것은 시험입니다. ';
const POLISH = 'Zażółć gęślą jaźń. Pchnąć w tę łódź jeża lub ośm skrzyń fig. Gdzie się podziało źródło? ';
const GREEK =
  'Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Η γρήγορη καφετιά αλεπού πηδάει πάνω από το τεμπέλικο σκυλί. ';

describe('text is read exactly', () => {
  const cases: readonly (readonly [charset: string, text: string])[] = [
    ['windows-1252', FRENCH],
    ['windows-1251', RUSSIAN],
    ['koi8-r', RUSSIAN],
    ['shift_jis', JAPANESE],
    ['euc-jp', JAPANESE],
    ['gb18030', CHINESE],
    ['big5', TRADITIONAL],
    ['euc-kr', KOREAN],
    ['windows-1250', POLISH],
    ['iso-8859-2', POLISH],
    ['windows-1253', GREEK],
    ['iso-8859-7', GREEK],
  ];
  test.each(cases)('in %s, which nothing names', (charset, text) => {
    const long = text.repeat(4);
    expect(decodeText(createEncoder(charset)(long)).text).toBe(long);
  });

  test.each(cases)('in %s, which a header names', (charset, text) => {
    expect(decodeText(createEncoder(charset)(text), charset)).toEqual({ text, charset });
  });

  test('in UTF-8, with and without a mark', () => {
    const text = `${JAPANESE}${FRENCH}😀`;
    const bytes = new TextEncoder().encode(text);
    expect(decodeText(bytes)).toEqual({ text, charset: 'utf-8' });
    expect(decodeText(Uint8Array.from([0xef, 0xbb, 0xbf, ...bytes]))).toEqual({ text, charset: 'utf-8' });
  });

  for (const isBig of [false, true]) {
    for (const hasMark of [false, true]) {
      test(`in UTF-16 ${isBig ? 'big' : 'little'} endian ${hasMark ? 'with' : 'without'} a mark`, () => {
        for (const text of [
          'Plain English text.\r\n',
          FRENCH,
          RUSSIAN,
          `${JAPANESE}\n`.repeat(3),
          `${KOREAN}\n`,
        ]) {
          expect(decodeText(utf16(text, isBig, hasMark)).text).toBe(text);
        }
      });
    }
  }

  test('as its own declaration says', () => {
    const xml = '<?xml version="1.0" encoding="ISO-8859-15"?><p>10 ¤</p>';
    expect(decodeText(latin1(xml)).text).toContain('10 €');
    expect(decodeText(latin1('<meta charset="windows-1251"><p>\xcf\xf0\xe8\xe2\xe5\xf2</p>')).text).toContain(
      'Привет',
    );
  });

  test('as valid UTF-8 whatever it declares', () => {
    const html = '<meta charset="iso-8859-1"><p>Größe 東京</p>';
    expect(decodeText(new TextEncoder().encode(html)).text).toBe(html);
  });

  test('with escapes of ISO-2022-JP', () => {
    const bytes = bytesOf(0x1b, 0x24, 0x42, 0x46, 0x7c, 0x4b, 0x5c, 0x38, 0x6c, 0x1b, 0x28, 0x42, 0x2e);
    expect(decodeText(bytes).text).toBe('日本語.');
  });

  test('with a broken byte in long UTF-8', () => {
    const bytes = new TextEncoder().encode(RUSSIAN.repeat(5));
    bytes[101] = 0xff;
    expect(decodeText(bytes).text).toContain('Широкая электрификация южных губерний');
  });
});
