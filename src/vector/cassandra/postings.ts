/**
 * Postings of one term in some chunks of a version: for each chunk that has it the distance from the chunk before, times two,
 * plus one where the term occurs more than once, and then how often; then the chunk's length in words. Numbers are written
 * seven bits a byte, lowest first.
 */

/** Three numbers a posting: the chunk's place, how often it has the term, its length. */
export const POSTING_NUMBERS = 3;

/** Postings on their way. Places ascend. */
export class PostingsWriter {
  private readonly bytes: number[] = [];
  private last = -1;

  add(place: number, count: number, length: number): void {
    const distance = place - this.last - 1;
    this.writeNumber(2 * distance + (count > 1 ? 1 : 0));
    if (count > 1) this.writeNumber(count);
    this.writeNumber(length);
    this.last = place;
  }

  toBuffer(): Buffer {
    return Buffer.from(this.bytes);
  }

  private writeNumber(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      this.bytes.push((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.bytes.push(rest);
  }
}

/** Numbers that grow: postings of a term in all buckets, each chunk under its slot. */
export class PostingsList {
  private numbers = new Uint32Array(3 * POSTING_NUMBERS);
  private used = 0;

  /** Adds a row. `slot` is that which places are counted from. */
  addRow(bytes: Buffer, slot: number): void {
    let at = 0;
    const next = (): number => {
      let value = 0;
      for (let shift = 0; ; shift += 7) {
        const byte = bytes[at++] ?? 0;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) return value >>> 0;
      }
    };
    let place = -1;
    while (at < bytes.length) {
      const head = next();
      place += (head >>> 1) + 1;
      const count = (head & 1) === 1 ? next() : 1;
      this.add(slot + place, count, next());
    }
  }

  /** `POSTING_NUMBERS` a posting. */
  toNumbers(): Uint32Array {
    return this.numbers.slice(0, this.used);
  }

  private add(slot: number, count: number, length: number): void {
    if (this.used === this.numbers.length) {
      const larger = new Uint32Array(2 * this.numbers.length);
      larger.set(this.numbers);
      this.numbers = larger;
    }
    this.numbers[this.used] = slot;
    this.numbers[this.used + 1] = count;
    this.numbers[this.used + 2] = length;
    this.used += POSTING_NUMBERS;
  }
}
