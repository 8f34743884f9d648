import { describe, expect, test } from 'bun:test';
import { createContext, createPageFinder, toSpeakingName } from '../../src/ingest/context.ts';
import { createTextBuilder } from '../../src/ingest/read-text.ts';

describe('a file name', () => {
  const speaking: readonly (readonly [string, string])[] = [
    ['Annual report 2024.pdf', 'Annual report 2024'],
    ['annual_report-2024.final.docx', 'annual report 2024 final'],
    ['AnnualReport.tar.gz', 'Annual Report'],
    ['/home/ada/Notes on engines.md', 'Notes on engines'],
    ['年次報告書.pdf', '年次報告書'],
    ['Отчёт.docx', 'Отчёт'],
    ['Version 2.5 of the manual.txt', 'Version 2 5 of the manual'],
  ];
  test.each(speaking)('%s says something: %s', (name, expected) => {
    expect(toSpeakingName(name)).toBe(expected);
  });

  const mute: readonly string[] = [
    'scan_000123.pdf',
    'file-abc123',
    'document.pdf',
    'IMG_20240301.jpg',
    'Untitled 3.docx',
    'd41d8cd98f00b204e9800998ecf8427e.txt',
    '550e8400-e29b-41d4-a716-446655440000.pdf',
    'file-AbCdEfGhIjKlMnOpQrStUv12.bin',
    '2024-01-05.txt',
    'xkq.txt',
    '',
  ];
  test.each(mute)('%s says nothing', (name) => {
    expect(toSpeakingName(name)).toBeNull();
  });
});

describe('the context of a chunk', () => {
  test('is name, title and the headings above, without what says the same again', () => {
    const builder = createTextBuilder();
    builder.heading(1, 'Annual Report');
    builder.heading(2, 'Sales');
    const sales = builder.length;
    builder.write('Up.');
    builder.heading(3, 'By country');
    builder.write('Down.');
    builder.heading(2, 'Costs');
    const costs = builder.length;
    builder.write('Level.');
    const toContext = createContext(builder.finish('Annual report'), 'annual-report.pdf');
    expect(toContext(0)).toBe('annual report');
    expect(toContext(sales)).toBe('annual report\nSales');
    expect(toContext(costs)).toBe('annual report\nCosts');
  });

  test('is empty where nothing says anything', () => {
    expect(createContext(createTextBuilder().finish(), 'scan_1.pdf')(0)).toBe('');
  });
});

test('the page of an offset is the last that begins at or before it; null where there are none', () => {
  const findPage = createPageFinder([
    { start: 0, page: 1 },
    { start: 10, page: 2 },
    { start: 10, page: 3 },
    { start: 25, page: 4 },
  ]);
  expect([0, 9, 10, 24, 25, 99].map(findPage)).toEqual([1, 1, 3, 3, 4, 4]);
  expect(createPageFinder([])(5)).toBeNull();
});
