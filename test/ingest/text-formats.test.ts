import { describe, expect, test } from 'bun:test';
import { readCsv } from '../../src/ingest/parsers/csv.ts';
import { readEml } from '../../src/ingest/parsers/eml.ts';
import { readHtml } from '../../src/ingest/parsers/html.ts';
import { readJson } from '../../src/ingest/parsers/json.ts';
import { readMarkdown } from '../../src/ingest/parsers/markdown.ts';
import { readRtf } from '../../src/ingest/parsers/rtf.ts';
import { readPlainXml } from '../../src/ingest/parsers/xml.ts';

const toBytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'));

describe('HTML', () => {
  test('is read as its reader sees it: headings, lists, tables, and no scripts, menus or hidden parts', () => {
    const read =
      readHtml(`<!doctype html><html><head><title>Tide &amp; time</title><style>p{color:red}</style>
      <script>var secret = "no";</script></head><body>
      <nav><a href="/">Home</a> <a href="/b">Contact</a></nav>
      <h1>Tides</h1><p>The   sea <b>rises</b> and
      falls&nbsp;twice&mdash;daily.</p><div hidden>never shown</div><p style="display: none">nor this</p>
      <h2>Lists</h2><ul><li>One</li><li>Two<ul><li>Two and a half</li></ul></li></ul>
      <ol start="3"><li>Three</li><li>Four</li></ol>
      <table><tr><th>Port</th><th>Height</th></tr><tr><td>Brest</td><td>7 m</td></tr></table>
      <pre>  kept
    as it is</pre><p>a<br>b</p><img alt="A gull" src="x"></body></html>`);
    expect(read.title).toBe('Tide & time');
    expect(read.text).toBe(
      'Tides\n\nThe sea rises and falls twice—daily.\n\nLists\n\n- One\n- Two\n  - Two and a half\n\n3. Three\n4. Four\n\n' +
        'Port | Height\nBrest | 7 m\n\n  kept\n    as it is\n\na\nb\n\nA gull\n\n',
    );
    expect(
      read.headings.map(({ level, text, start }) => [
        level,
        text,
        read.text.slice(start, start + text.length),
      ]),
    ).toEqual([
      [1, 'Tides', 'Tides'],
      [2, 'Lists', 'Lists'],
    ]);
    expect(read.text.slice(0, read.joints.at(-1))).toEndWith('Port | Height\n');
  });

  test('is read without a head that is closed, and without any structure', () => {
    expect(readHtml('<html><head><title>T</title><body><p>Body text').text).toBe('Body text\n\n');
    expect(readHtml('just words').text).toBe('just words\n\n');
  });

  test('joins words and parts of a word as the page does', () => {
    expect(readHtml('<p>un<b>believ</b>able <i>story</i>, told</p>').text).toBe(
      'unbelievable story, told\n\n',
    );
    expect(readHtml('<div>one</div><div>two</div>three<span> four</span>').text).toBe(
      'one\ntwo\nthree four\n\n',
    );
  });
});

describe('XML', () => {
  test('is the text of its elements, sentences kept together', () => {
    const read = readPlainXml(
      '<?xml version="1.0"?><!DOCTYPE book [<!ENTITY x "y">]><book><title>On sails</title><para>Some <em>strong</em> wind.</para><a>1</a><b>2</b><c><![CDATA[x < y]]></c></book>',
    );
    expect(read.text).toBe('On sails\nSome strong wind.\n1\n2\nx < y\n');
    expect(read.title).toBe('On sails');
  });

  test('expands no entities that it declares', () => {
    const laughs = `<!DOCTYPE lolz [<!ENTITY lol "lol">${Array.from({ length: 9 }, (_, i) => `<!ENTITY lol${i + 1} "${`&lol${i === 0 ? '' : i};`.repeat(10)}">`).join('')}]><lolz>before &lol9; after</lolz>`;
    const { text } = readPlainXml(laughs);
    expect(text.length).toBeLessThan(100);
    expect(text).toStartWith('before');
  });
});

describe('JSON', () => {
  test('that people can read is kept as it is', () => {
    const text = '{\n  "name": "Ada",\n  "born": 1815\n}\n';
    expect(readJson(text).text).toBe(text);
  });

  test('that was written without line ends is laid out, with every key and value', () => {
    const value = {
      list: Array.from({ length: 40 }, (_, i) => ({ id: i, text: `a "quoted", {odd} [one] \\ ${i}` })),
      empty: {},
      none: [],
    };
    const { text } = readJson(JSON.stringify(value));
    expect(JSON.parse(text)).toEqual(value);
    expect(text).toContain('\n  "list": [\n    {\n      "id": 0,');
  });

  test('of a million brackets is laid out in a length that is linear', () => {
    expect(readJson('['.repeat(1_000_000)).text.length).toBeLessThan(30_000_000);
  });
});

describe('Markdown', () => {
  test('is kept as it is; its headings are those of Markdown, not comments in code', () => {
    const text =
      '---\ntitle: "Sea chart"\n---\n# Coast\n\ntext\n\n```sh\n# no heading\n```\n\nHarbours\n========\n\n### Deep *one* ###\n';
    const read = readMarkdown(text);
    expect(read.text).toBe(text);
    expect(read.title).toBe('Sea chart');
    expect(read.headings.map(({ level, text: heading }) => [level, heading])).toEqual([
      [1, 'Coast'],
      [1, 'Harbours'],
      [3, 'Deep one'],
    ]);
    for (const { start, text: heading } of read.headings.slice(0, 2))
      expect(text.slice(start, start + 12)).toContain(heading);
  });
});

describe('separated values', () => {
  test('carry the names of their columns in every row', () => {
    expect(
      readCsv('name,city,born\nAda,London,1815\n"Grace, ""Amazing""",New York,1906\r\n', 'csv').text,
    ).toBe(
      'name | city | born\nname: Ada | city: London | born: 1815\nname: Grace, "Amazing" | city: New York | born: 1906\n',
    );
  });

  test('are read with the separator that they have', () => {
    expect(readCsv('name;price\nOil;1,50\nSalt;0,40\n', 'csv').text).toContain('name: Oil | price: 1,50');
    expect(readCsv('a\tb\nx\ty\n', 'tsv').text).toContain('a: x | b: y');
    expect(readCsv('sep=|\na|b\nx|y\n', 'csv').text).toContain('a: x | b: y');
  });

  test('without names, with line ends in cells, or empty', () => {
    expect(readCsv('1,2,3\n4,5,6\n', 'csv').text).toBe('1 | 2 | 3\n4 | 5 | 6\n');
    expect(readCsv('key,value\nnote,"two\nlines"\n', 'csv').text).toContain('key: note | value: two lines');
    expect(readCsv('', 'csv').text).toBe('');
    expect(readCsv('only,names', 'csv').text).toBe('only | names\n');
    expect(readCsv('a,b\n"never closed,\nx', 'csv').text).toContain('never closed, x');
  });
});

describe('rich text', () => {
  test('is read with its code pages, escapes, headings and tables', () => {
    const read = readRtf(
      toBytes(
        String.raw`{\rtf1\ansi\ansicpg1252\uc1{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial Cyr;}}{\colortbl;\red0\green0\blue0;}
{\stylesheet{\s0 Normal;}{\s1\outlinelevel0 heading 1;}}{\info{\title The log}{\author Nobody}}
\pard\s1 First watch\par\pard\plain\f0 Gr\'fc\'dfe, \u8364?5 and \ldblquote quotes\rdblquote .\par
{\f1\'cf\'f0\'e8\'e2\'e5\'f2}\par {\*\unknown hidden}{\v secret}{\pict 0102ffee}x\{y\}\\z\tab t\par
\trowd\intbl Port\cell Depth\cell\row\trowd\intbl Brest\cell 9\cell\row\pard end\par}`,
      ),
    );
    expect(read.title).toBe('The log');
    expect(read.text).toBe(
      'First watch\n\nGrüße, €5 and “quotes”.\n\nПривет\n\nx{y}\\z\tt\n\nPort | Depth\nBrest | 9\n\nend\n\n',
    );
    expect(read.headings.map(({ text }) => text)).toEqual(['First watch']);
  });

  test('nested beyond the bound is refused, and an unfinished one is read as far as it goes', () => {
    expect(() => readRtf(toBytes(`{\\rtf1 ${'{'.repeat(100_000)}`))).toThrow('nested more than 1000 deep');
    expect(readRtf(toBytes('{\\rtf1 cut of')).text).toBe('cut of\n\n');
  });
});

describe('a message', () => {
  test('is its fields, its text, and the texts attached to it', async () => {
    const read = await readEml(
      toBytes(
        [
          'From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>',
          'To: Ada <ada@example.org>, bob@example.org',
          'Subject: =?utf-8?b?R3LDvMOfZQ==?=',
          'Date: Tue, 5 Mar 2024 10:00:00 +0000',
          'MIME-Version: 1.0',
          'Content-Type: multipart/mixed; boundary="b"',
          '',
          '--b',
          'Content-Type: text/plain; charset=iso-8859-1',
          'Content-Transfer-Encoding: quoted-printable',
          '',
          'The caf=E9 is closed.',
          '--b',
          'Content-Type: text/plain; name="list.txt"',
          'Content-Disposition: attachment; filename="list.txt"',
          '',
          'milk, eggs',
          '--b',
          'Content-Type: application/pdf; name="plan.pdf"',
          'Content-Disposition: attachment; filename="plan.pdf"',
          'Content-Transfer-Encoding: base64',
          '',
          'JVBERi0xLjQ=',
          '--b--',
          '',
        ].join('\r\n'),
      ),
    );
    expect(read.title).toBe('Grüße');
    expect(read.text).toStartWith(
      'Subject: Grüße\nFrom: Jürgen <j@example.org>\nTo: Ada <ada@example.org>, bob@example.org\nDate: 2024-03-05T10:00:00.000Z\nAttachments: list.txt, plan.pdf\n\nThe café is closed.',
    );
    expect(read.text).toContain('list.txt\n\nmilk, eggs');
  });

  test('that has only a page of HTML is read as that page', async () => {
    const { text } = await readEml(
      toBytes(
        'From: a@b.example\r\nSubject: x\r\nContent-Type: text/html\r\n\r\n<p>One<br>two</p><script>no()</script>',
      ),
    );
    expect(text).toEndWith('\n\nOne\ntwo\n\n');
  });
});
