/** What a word is: what chunks are indexed under, and what questions find. */

import { describe, expect, test } from 'bun:test';
import {
  type Analyser,
  CHUNK_TERMS_MAX,
  createAnalyser,
  detectLanguage,
  QUERY_LENGTH_MAX,
  QUERY_TERMS_MAX,
} from '../../src/vector/analyser.ts';
import { createStemmer } from '../../src/vector/languages.ts';
import { decodeTerms, encodeTerms, TERM_LENGTH_MAX } from '../../src/vector/terms.ts';

/** The same two sentences, in every language that has a stemmer. */
const SAMPLES = {
  da: 'Ordbogen viser, hvordan man bruger ordene i en sætning. Den blev udgivet af et forlag i København og er siden kommet i flere oplag.',
  de: 'Das Wörterbuch zeigt, wie man die Wörter in einem Satz gebraucht. Es wurde von einem Verlag in Köln veröffentlicht und ist seither in mehreren großen Auflagen erschienen.',
  en: 'The dictionary shows how the words are used in a sentence. It was published by a house in Oxford and has since been reprinted many times.',
  es: 'El diccionario muestra cómo se usan las palabras en una oración. Fue publicado por una editorial de Málaga y desde entonces ha tenido varias ediciones.',
  fi: 'Sanakirja näyttää, miten sanoja käytetään lauseessa. Sen julkaisi helsinkiläinen kustantamo, ja siitä on sen jälkeen otettu useita painoksia.',
  fr: 'Le dictionnaire montre comment les mots sont employés dans une phrase. Il a été publié par une maison d’édition à Besançon et réimprimé à plusieurs reprises.',
  it: 'Il dizionario mostra come si usano le parole in una frase. È stato pubblicato da una casa editrice di Forlì e da allora è stato ristampato più volte.',
  nl: 'Het woordenboek laat zien hoe men de woorden in een zin gebruikt. Het werd uitgegeven door een uitgeverij in België en is sindsdien vaak herdrukt.',
  no: 'Ordboken viser hvordan man bruker ordene i en setning. Den ble utgitt av et forlag i Tromsø og har siden kommet i flere opplag.',
  pt: 'O dicionário mostra como se usam as palavras numa oração. Foi publicado por uma editora de São Paulo e desde então teve várias edições.',
  ru: 'Словарь показывает, как слова употребляются в предложении. Он был издан в Москве и с тех пор ещё не раз выходил в нём же.',
  sv: 'Ordboken visar hur man använder orden i en mening. Den gavs ut av ett förlag i Malmö och har sedan dess kommit i flera upplagor.',
} as const;

const WITHOUT_STEMMER = {
  ja: '辞書は文の中で言葉がどのように使われるかを示します。東京タワーの近くの出版社が出しました。',
  zh: '这本词典说明词语在句子里怎样使用。它由北京的一家出版社出版。',
  ko: '사전은 문장에서 단어가 어떻게 쓰이는지 보여 줍니다. 서울의 출판사에서 나왔습니다.',
  th: 'พจนานุกรมแสดงวิธีใช้คำในประโยค',
  ar: 'يعرض القاموس كيفية استخدام الكلمات في الجملة',
  he: 'המילון מראה כיצד משתמשים במילים במשפט',
  hi: 'शब्दकोश दिखाता है कि वाक्य में शब्दों का प्रयोग कैसे होता है',
  el: 'Το λεξικό δείχνει πώς χρησιμοποιούνται οι λέξεις σε μια πρόταση',
} as const;

function analyse(analyser: Analyser, text: string, language: string | null = null): ReadonlySet<string> {
  return new Set(analyser.analyseChunk({ text, context: '', fileName: '', language }).counts.keys());
}

/** Whether a question shares a term with a chunk. */
function finds(
  question: string,
  text: string,
  language: string | null,
  languages = language === null ? [] : [language],
): boolean {
  const analyser = createAnalyser();
  const terms = analyse(analyser, text, language);
  return analyser.analyseQuery(question, languages).some(({ term }) => terms.has(term));
}

function toWords(text: string): readonly string[] {
  return text.match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
}

function dropAccents(text: string): string {
  return text
    .normalize('NFD')
    .replace(/\p{Mn}/gu, '')
    .normalize('NFC');
}

describe('a word that stands in a document is found', () => {
  const samples = { ...SAMPLES, ...WITHOUT_STEMMER };
  const languages = Object.keys(samples);

  for (const [language, text] of Object.entries(samples)) {
    test(`in ${language}: as it stands, in capitals, without accents, in a store of one or of all languages`, () => {
      const keepsAccents = ['ja', 'ko', 'th', 'hi', 'ru'].includes(language);
      const analyser = createAnalyser();
      for (const taken of [language, null, 'en']) {
        const terms = analyse(analyser, text, taken);
        for (const word of toWords(text)) {
          const plain = keepsAccents ? word : dropAccents(word);
          for (const asked of [word, word.toUpperCase(), plain, plain.toUpperCase(), word.normalize('NFD')]) {
            for (const held of [taken === null ? [] : [taken], languages]) {
              const isFound = analyser.analyseQuery(asked, held).some(({ term }) => terms.has(term));
              expect({ asked, taken, held, isFound }).toEqual({ asked, taken, held, isFound: true });
            }
          }
        }
      }
    });
  }

  test('also where only some characters of a run without spaces are asked for, down to one', () => {
    for (const asked of ['東京', 'タワー', '言葉', '文', '出版社', '東']) {
      expect(finds(asked, WITHOUT_STEMMER.ja, 'ja')).toBe(true);
    }
    expect(finds('词', WITHOUT_STEMMER.zh, 'zh')).toBe(true);
    expect(finds('사전', WITHOUT_STEMMER.ko, 'ko')).toBe(true);
    expect(finds('京都', WITHOUT_STEMMER.ja, 'ja')).toBe(false);
    expect(finds('𠮷野', '牛丼の𠮷野家', 'ja')).toBe(true);
  });

  test('also a stop word, where a question has nothing else', () => {
    expect(finds('The Who', 'the people who came', 'en')).toBe(true);
    expect(finds('die', 'die Katze', 'de')).toBe(true);
    const terms = createAnalyser().analyseQuery('what is the purpose of it', ['en']);
    expect(terms.map(({ term }) => term)).toEqual(['purpos', 'purpose']);
  });

  test('in title, headings and file name too', () => {
    const { counts } = createAnalyser().analyseChunk({
      text: 'nothing',
      context: 'Annual report\nLiabilities',
      fileName: 'budget_2023-final.pdf',
      language: 'en',
    });
    for (const term of ['annual', 'liabil', 'budget', '2023', 'pdf']) expect(counts.get(term)).toBe(1);
  });
});

describe('forms of a word', () => {
  test('are one term by the language of the chunk, and found from any of them', () => {
    const pairs = [
      ['en', 'running', 'runs'],
      ['en', 'categories', 'category'],
      ['de', 'Häusern', 'Haus'],
      ['de', 'Mietverträge', 'Mietvertrag'],
      ['fr', 'élèves', 'élève'],
      ['fr', 'nationales', 'national'],
      ['es', 'canciones', 'canción'],
      ['it', 'pubblicazioni', 'pubblicazione'],
      ['pt', 'organizações', 'organização'],
      ['nl', 'boeken', 'boek'],
      ['sv', 'flickornas', 'flickor'],
      ['no', 'jentene', 'jente'],
      ['da', 'bøgerne', 'bøger'],
      ['fi', 'talossa', 'talo'],
      ['ru', 'словарями', 'словарь'],
    ] as const;
    for (const [language, stands, asked] of pairs) {
      expect({ language, stands, isFound: finds(asked, stands, language) }).toEqual({
        language,
        stands,
        isFound: true,
      });
    }
  });

  test('keep their length in a language that nobody knows', () => {
    expect([...analyse(createAnalyser(), 'running categories')]).toEqual(['running', 'categories']);
  });

  test('stay as they are where they have digits', () => {
    expect([...analyse(createAnalyser(), 'b2bs', 'en')]).toEqual(['b2bs']);
    expect(finds('b2b', 'b2bs', 'en')).toBe(false);
  });

  test('of letters that are written in two ways are one', () => {
    for (const [asked, stands] of [
      ['Strasse', 'Straße'],
      ['Mueller', 'Müller'],
      ['oeuvre', 'œuvre'],
      ['Lodz', 'Łódź'],
      ['office', 'oﬃce'],
      ['ＡＢＣ１２', 'abc12'],
      ['カタカナ', 'ｶﾀｶﾅ'],
      ['١٢٣', '123'],
      ['أحمد', 'احمد'],
      ['كتاب', 'كِتَاب'],
      ['co\u00adoperate', 'cooperate'],
    ] as const) {
      expect({ asked, isFound: finds(asked, stands, 'de') }).toEqual({ asked, isFound: true });
    }
    expect(finds('йод', 'иод', 'ru')).toBe(false);
  });

  test('of one word of a question share its number, and each term is asked for once', () => {
    const terms = createAnalyser().analyseQuery('Kündigungsfristen running', ['de', 'en']);
    expect(new Set(terms.map(({ term }) => term)).size).toBe(terms.length);
    expect(terms.filter(({ word }) => word === 0).map(({ term }) => term)).toContain('kundigungsfrist');
    expect(terms.filter(({ word }) => word === 1).map(({ term }) => term)).toEqual(['running', 'run']);
    expect(terms.every(({ weight }) => weight > 0 && weight <= 1)).toBe(true);
  });

  test('that a question repeats, in whatever inflection, are one word that counts more, within a bound', () => {
    const weigh = (text: string) => createAnalyser().analyseQuery(text, ['en']);
    const terms = weigh('pump pumps pumping');
    expect(new Set(terms.map(({ word }) => word)).size).toBe(1);
    expect(terms.find(({ term }) => term === 'pump')?.weight).toBe(3);
    expect(weigh('pump '.repeat(1_000))[0]?.weight).toBe(4);
  });

  test('of other languages count less where the language of the question is known', () => {
    // In French, "hive" would have the stem of "hiver", the winter.
    const terms = createAnalyser().analyseQuery('Where is the hive of the bees?', ['fr', 'en']);
    expect(terms.find(({ term }) => term === 'hive')?.weight).toBe(1);
    expect(terms.find(({ term }) => term === 'hiv')?.weight).toBe(0.5);
  });

  test('of Latin letters are English in texts of other scripts', () => {
    expect(finds('replication', 'データベースの replications を設定する', 'ja')).toBe(true);
    expect(finds('replication', 'настройка replications сервера', 'ru')).toBe(true);
  });
});

describe('what is joined', () => {
  const indexed = (text: string) => [...analyse(createAnalyser(), text, 'en')];

  test('is found whole and by its parts', () => {
    expect(indexed('ERR-4471')).toEqual(expect.arrayContaining(['err', '4471', 'err4471']));
    expect(indexed('foo_bar()')).toEqual(expect.arrayContaining(['foo', 'bar', 'foobar']));
    expect(indexed('v2.3.1')).toEqual(expect.arrayContaining(['v2.3.1', '2.3.1']));
    expect(indexed('getUserName')).toEqual(expect.arrayContaining(['get', 'user', 'name', 'getusernam']));
    expect(indexed('HTTPServer')).toEqual(expect.arrayContaining(['http', 'server', 'httpserver']));
    expect(indexed('DNAs')).toEqual(['dnas']);
    expect(indexed('C++, C# and .NET')).toEqual(expect.arrayContaining(['c++', 'c#', '.net', 'net']));
    expect(indexed('500mg')).toEqual(expect.arrayContaining(['500mg', '500', 'mg']));
    expect(indexed('ann@example.com')).toEqual(expect.arrayContaining(['annexamplecom', 'ann', 'exampl']));
    expect(indexed('12,500')).toContain('12500');
  });

  test('is the same name however it is joined, but digits stay apart', () => {
    const whole = (text: string) =>
      createAnalyser()
        .analyseQuery(text, ['en'])
        .map(({ term }) => term);
    for (const written of ['ERR-4471', 'err_4471', 'ERR4471', 'Err/4471']) {
      expect(whole(written)).toContain('err4471');
    }
    for (const written of ['foo_bar()', 'fooBar', 'foo-bar', 'FooBar'])
      expect(whole(written)).toContain('foobar');
    expect(whole('1.23')).not.toContain('12.3');
    expect(whole('12.3')).toContain('12.3');
  });

  test('tells near-identical texts apart', () => {
    const asked = createAnalyser().analyseQuery('KX-4471', ['en']);
    const matches = (text: string) => {
      const terms = analyse(createAnalyser(), text, 'en');
      return asked.filter(({ term }) => terms.has(term)).length;
    };
    for (const other of ['KX-4417', 'XK-4471', 'KX-4471B', 'KX-44711', '4471-KX']) {
      expect(matches(`The pump ${other}.`)).toBeLessThan(matches('The pump KX-4471.'));
    }
  });

  test('leaves out what follows an apostrophe in English, and keeps it in French', () => {
    expect(indexed("John's")).toEqual(['john']);
    expect([...analyse(createAnalyser(), "l'école", 'fr')]).toContain('ecol');
  });
});

describe('bounds', () => {
  /** Repeatable, of any characters: words, signs, halves of pairs, control characters. */
  function makeNoise(seed: number, length: number): string {
    const alphabet =
      "aAzZßéñøİΣжЙ09.-_/:#@+,'’ \t\n\r\0\u0085\u2028\u00ad\u0301\u200d\ud83d\ude00漢かナ한ไทยع٣𠮷";
    let state = seed;
    let noise = '';
    for (let at = 0; at < length; at += 1) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      noise += alphabet[(state >>> 8) % alphabet.length];
    }
    return noise;
  }

  test('terms hold no white space and no control characters, are short, and survive being encoded', () => {
    const analyser = createAnalyser();
    const texts = [
      ...Array.from({ length: 40 }, (_, seed) => makeNoise(seed, 3_000)),
      'ß'.repeat(500),
      '𝔘'.repeat(500),
      '𐐀'.repeat(499),
      'İ'.repeat(300),
      `${'a'.repeat(95)}𐐀b`,
      'x-'.repeat(400),
    ];
    for (const [index, text] of texts.entries()) {
      const language = index % 2 === 0 ? 'de' : null;
      const terms = analyser.analyseChunk({ text, context: text, fileName: '', language });
      for (const { term } of [
        ...[...terms.counts.keys()].map((term) => ({ term })),
        ...analyser.analyseQuery(text, ['de', 'en']),
      ]) {
        expect(term).not.toMatch(/[\s\p{Cc}]|^$/u);
        expect(term.isWellFormed()).toBe(true);
        expect(term.length).toBeLessThanOrEqual(TERM_LENGTH_MAX);
      }
      expect(decodeTerms(encodeTerms(terms))).toEqual(terms);
    }
  });

  test('a hostile text has no more terms than a chunk may have', () => {
    const analyser = createAnalyser();
    const words = Array.from({ length: CHUNK_TERMS_MAX + 5_000 }, (_, at) => `w${at.toString(36)}x`);
    const text = words.join(' ');
    const { counts, length } = analyser.analyseChunk({ text, context: '', fileName: '', language: 'en' });
    expect(counts.size).toBe(CHUNK_TERMS_MAX);
    expect(length).toBe(words.length);
  });

  test('a hostile question is read to its bound, with as many terms as a question may have', () => {
    const analyser = createAnalyser();
    const words = Array.from({ length: 20_000 }, (_, at) => `w${at.toString(36)}`).join(' ');
    expect(analyser.analyseQuery(words, ['en', 'de', 'fr'])).toHaveLength(QUERY_TERMS_MAX);
    const late = analyser.analyseQuery(`${' '.repeat(QUERY_LENGTH_MAX)}late`, ['en']);
    expect(late).toEqual([]);
  });

  test('what was seen before changes nothing, also after more words than are remembered', () => {
    const analyser = createAnalyser();
    const before = analyser.analyseChunk({ text: SAMPLES.fr, context: '', fileName: '', language: 'fr' });
    const many = Array.from({ length: 40_000 }, (_, at) => `m${at.toString(36)}ing`).join(' ');
    analyser.analyseChunk({ text: many, context: '', fileName: '', language: 'fr' });
    const after = analyser.analyseChunk({ text: SAMPLES.fr, context: '', fileName: '', language: 'fr' });
    expect(after).toEqual(before);
  });

  test('texts without words have no terms', () => {
    const analyser = createAnalyser();
    for (const text of ['', ' \n\t', '— … !?', '😀👩\u200d💻', '\0\0', '\ud83d', '\u00ad']) {
      expect(analyser.analyseChunk({ text, context: '', fileName: '', language: 'en' })).toEqual({
        length: 0,
        counts: new Map(),
      });
      expect(analyser.analyseQuery(text, ['en'])).toEqual([]);
    }
  });
});

describe('the length of a chunk', () => {
  test('counts words once, without stop words and without the names that they make', () => {
    const { length, counts } = createAnalyser().analyseChunk({
      text: 'The pump KX-4471 is a pump',
      context: '',
      fileName: '',
      language: 'en',
    });
    expect(length).toBe(4);
    expect(counts.get('pump')).toBe(2);
    expect(counts.get('the')).toBe(1);
  });
});

describe('the language of a text', () => {
  for (const [language, text] of Object.entries({ ...SAMPLES, ...WITHOUT_STEMMER })) {
    test(`${language} is told from two sentences`, () => {
      expect(detectLanguage(text)).toBe(language);
    });
  }

  test('is open where nobody can tell', () => {
    for (const text of [
      '',
      '12 34 56',
      'pump',
      'int main(void) { return 0; }',
      'Total 12 34\nRevenue 100 200\nCosts 50 60',
      'Słownik pokazuje, jak używa się słów w zdaniu. Został wydany przez wydawnictwo w Krakowie.',
      'Sözlük, sözcüklerin bir cümlede nasıl kullanıldığını gösterir.',
      'Словник показує, як слова вживаються в реченні. Його було видано у Львові.',
    ]) {
      expect({ text, language: detectLanguage(text) }).toEqual({ text, language: null });
    }
  });

  test('is told from a short question where its words tell', () => {
    expect(detectLanguage('Was ist die Kündigungsfrist für Mietverträge?')).toBe('de');
    expect(detectLanguage('How do I replace the filter?')).toBe('en');
    expect(detectLanguage('Quelle est la durée du contrat ?')).toBe('fr');
  });

  test('is looked for in the middle and at the end of a long text too', () => {
    const rubbish = '%PDF 0001 ---- '.repeat(2_000);
    expect(detectLanguage(`${rubbish}${SAMPLES.de.repeat(40)}${rubbish}${SAMPLES.de.repeat(40)}`)).toBe('de');
  });
});

describe('stems', () => {
  test('are those of the Snowball project, and a word leaves nothing behind for the next', () => {
    const expected = {
      da: ['kærligheden', 'kær'],
      de: ['aufeinanderfolgenden', 'aufeinanderfolg'],
      en: ['generously', 'generous'],
      es: ['chicharrones', 'chicharron'],
      fi: ['edeltäjiensä', 'edeltäjie'],
      fr: ['continuellement', 'continuel'],
      it: ['abbandonarono', 'abbandon'],
      nl: ['lichamelijkheden', 'lichamelijk'],
      no: ['havnedistriktene', 'havnedistrikt'],
      pt: ['boazinha', 'boazinh'],
      ru: ['важнейшими', 'важн'],
      sv: ['jaktkarlarne', 'jaktkarl'],
    } as const;
    for (const [language, [word, stem]] of Object.entries(expected)) {
      const stemmer = createStemmer(language);
      expect({ language, stem: stemmer?.stemWord(word) }).toEqual({ language, stem });
      stemmer?.stemWord('zzzz');
      expect(stemmer?.stemWord(word)).toBe(stem);
    }
    expect(createStemmer('xx')).toBeNull();
    expect(createStemmer('constructor')).toBeNull();
  });
});
