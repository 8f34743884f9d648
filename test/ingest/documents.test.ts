import { afterAll, describe, expect, test } from 'bun:test';
import { join } from 'node:path';
import { createTestReader, type ReadResult, readAll, readToError, toSource } from './reading.ts';

const reader = createTestReader();
afterAll(() => reader.close());

const loadDocument = async (name: string): Promise<Uint8Array> =>
  await Bun.file(join(import.meta.dir, 'documents', name)).bytes();
const read = async (name: string, as = name): Promise<ReadResult> =>
  await readAll(reader, toSource(as, await loadDocument(name)));

describe('documents of every format are read through the process', () => {
  test('a PDF: every sentence on its page, headings as context, tables as lines', async () => {
    const result = await readAll(reader, toSource('station-log.pdf', await loadDocument('station-log.pdf')), {
      tokensMax: 100,
      overlapTokens: 0,
    });
    for (let page = 1; page <= 12; page += 1) {
      const at = result.text.indexOf(`found ${page * 7} millimetres of sediment. The office confirmed`);
      expect(at).toBeGreaterThan(0);
      const chunk = result.chunks.find(({ start, end }) => start <= at && at < end);
      expect(chunk?.page).toBe(page);
      expect(chunk?.context).toBe(`station log\nLog of the river station\nChapter ${page}: Station log`);
      expect(result.text).toContain(`signs with the code KEY-${String(page).padStart(4, '0')}.`);
    }
    expect(result.text).toContain('efficient crew');
    expect(result.text).toMatch(/Gauge( \|)? Level\n+North( \|)? 41 cm\n+South( \|)? 38 cm\n/);
    expect(result.summary).toEqual({ chunks: result.chunks.length, languages: ['en'] });
  });

  test('a PDF: words that were parted at the end of a line are whole again', async () => {
    expect((await read('hyphens.pdf')).text).toBe(
      'The administration of the harbour has published a comprehensive list of all vessels that entered the inner ' +
        'basin during the past season, with the names of owners and masters. A second list follows.\n\n',
    );
  });

  test('a PDF: columns one after the other', async () => {
    const { text } = await read('two-columns.pdf');
    expect(text.indexOf('left column line 19')).toBeLessThan(text.indexOf('right column line 0'));
  });

  test('a PDF: Chinese and Japanese in fonts that it only names', async () => {
    const { chunks } = await readAll(reader, toSource('cjk.pdf', await loadDocument('cjk.pdf')));
    expect(chunks[0]?.text).toBe('吾輩は猫である。名前はまだ無い。\n\n学而时习之，不亦说乎。\n\n');
  });

  test('a PDF: what was filled into its form', async () => {
    expect((await read('form.pdf')).text).toContain('vessel: Saint Brendan');
  });

  test('a PDF that only its owner may change', async () => {
    expect((await read('owner-password.pdf')).text).toContain('A second list follows.');
  });

  test('a Word document: headings, lists with their numbers, tables, notes, headers; nothing that was deleted', async () => {
    const { text, chunks } = await read('handbook.docx');
    expect(text).toBe(
      'Handbook of the lighthouse\n\nDuties of the keeper\n\nThe keeper lights the lamp at dusk and notes the hour in the log.[1]\n\n' +
        '[1] Ink of iron gall is used.\n\n- Trim the wick\n- Wind the clockwork\n1. Climb the stairs\n2. Open the shutters\n\n' +
        'Stores\n\nItem | Stock | Shelf\nLamp oil | 120 litres | B-7\nSpare wicks | 44 | C-2\n\n' +
        'Old entries were kept. Line one\tand tab\n\nWeather\n\nGrüße aus 東京: the barometer fell to 975 hPa — “a storm”.\n\n' +
        'Lighthouse service, confidential\n',
    );
    expect(chunks[0]).toMatchObject({ page: null, context: 'handbook\nHandbook of the lighthouse' });
  });

  test('slides: each a page, with title, table and notes', async () => {
    const { text, chunks } = await read('harbour.pptx');
    expect(text).toBe(
      'Harbour plan\n\nWhat changes next year\n\nDredging\n\nThe basin is dredged to nine metres\n\nNotes: Mention the cost of the barge\n\n' +
        'Ferries\n\nTwo ferries instead of one\n\nTimetable\n\nPier | Departs\nEast | 07:15\n\n',
    );
    expect(chunks[0]?.page).toBe(1);
  });

  test('a workbook: sheets, the names of the columns in each row, values as they are shown', async () => {
    expect((await read('catches.xlsx')).text).toBe(
      'Catches\n\nDate | Boat | Species | Weight | Share | Price\n' +
        'Date: 2024-03-05 | Boat: Aurora | Species: Cod | Weight: 1,234.50 | Share: 25.6% | Price: €19.90\n' +
        'Date: 2024-03-06 14:30 | Boat: Boreas | Species: Haddock | Weight: 987.00 | Share: 10.0% | Price: €1,250.00\n\n' +
        'Crew\n\nName | Rank\nName: Ingrid Ólafsdóttir | Rank: skipper\n\n',
    );
  });

  test('OpenDocument: a text, a sheet, slides', async () => {
    const almanac = await read('almanac.odt');
    expect(almanac.text).toBe(
      'Spring tides\n\nThe highest water is expected on the ninth of March [By the old calendar.]\n\n- Move the boats\n- Close the lock\n\n' +
        'Place | Time\nOld quay | 04:12\n\n',
    );
    expect(almanac.chunks[0]?.context).toBe('almanac\nAlmanac of tides\nSpring tides');
    expect((await read('buoys.ods')).text).toBe(
      'Buoys\n\nBuoy | Colour\nBuoy: Nora | Colour: green\nBuoy: Otto | Colour: red\n\n',
    );
    const signals = await read('signals.odp');
    expect(signals.text).toBe('Signals by day\n\nSignals by night\n\n');
    expect(signals.chunks[0]?.page).toBe(1);
  });

  test('a book: its chapters in order, by their names', async () => {
    const { text, chunks } = await read('island.epub');
    expect(text).toBe(
      'The crossing\n\nWe left the mainland under a grey sky.\n\nThe winter\n\nSnow closed the only road for eleven weeks.\n\n',
    );
    expect(chunks[0]?.context).toBe('island\nLetters from the island\nThe crossing');
  });

  test('code and text are kept to the character', async () => {
    const code = 'def f(x):\r\n\treturn "größe"  # 東京\r\n\r\n\r\n';
    expect((await readAll(reader, toSource('f.py', code))).text).toBe(code);
    const text = '\n\n  Indented.\u00a0\n\ttabs\n';
    expect((await readAll(reader, toSource('a.txt', text))).text).toBe(text);
  });

  test('a file is what its content says, whatever it is called', async () => {
    expect((await read('station-log.pdf', 'notes.txt')).text).toContain('KEY-0007');
    expect((await read('handbook.docx', 'sheet.xlsx')).text).toContain('Trim the wick');
    expect((await readAll(reader, toSource('report.pdf', 'Plain words.'))).text).toBe('Plain words.');
  });

  test('words of text, headings and file name are among the terms', async () => {
    const [chunk] = (await read('station-log.pdf')).chunks;
    for (const term of ['key0001', 'station', 'log']) expect(chunk?.terms).toContain(`\n${term}\t`);
  });
});

describe('documents that cannot be read say why', () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['encrypted.pdf', 'invalid_file', /^The PDF is encrypted with a password\.$/],
    ['scan.pdf', 'invalid_file', /^The PDF has no text \(a scan\?\)/],
    ['picture.png', 'unsupported_file', /picture \(PNG\)/],
  ];
  test.each(cases)('%s', async (name, code, message) => {
    const error = await readToError(reader, toSource(name, await loadDocument(name)));
    expect(error.code).toBe(code as never);
    expect(error.message).toMatch(message);
  });

  test('an empty file, and one of blanks only', async () => {
    expect(await readToError(reader, toSource('a.txt', ''))).toMatchObject({
      code: 'invalid_file',
      message: 'The file is empty.',
    });
    expect(await readToError(reader, toSource('a.txt', ' \n\t\n'))).toMatchObject({
      code: 'invalid_file',
      message: 'The file holds no text.',
    });
  });
});

test('the same bytes give the same chunks', async () => {
  for (const name of ['station-log.pdf', 'handbook.docx', 'catches.xlsx']) {
    const first = await read(name);
    expect(await read(name)).toEqual(first);
  }
});
