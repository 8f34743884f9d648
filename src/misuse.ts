/** A start that fails for what the operator alone can change: the program then ends with another code than where something broke. */
export class Misuse extends Error {
  override readonly name = 'Misuse';
}
