/** Messages: who, when, what about, the text (or the page of HTML), names of what is attached, and attached texts. */

import PostalMime, { type Address, type Attachment } from 'postal-mime';
import { decodeText } from '../charset.ts';
import { createTextBuilder, type ReadText, type TextBuilder } from '../read-text.ts';
import { writeHtml } from './html.ts';

/** Parts within parts. */
const NESTING_MAX = 64;
/** All fields before the text. */
const FIELDS_BYTES_MAX = 2 * 1024 * 1024;
/** Attached texts beyond this are named only. */
const ATTACHED_BYTES_MAX = 8 * 1024 * 1024;
const ADDRESSES_MAX = 200;

export async function readEml(bytes: Uint8Array): Promise<ReadText> {
  const mail = await PostalMime.parse(bytes, {
    maxNestingDepth: NESTING_MAX,
    maxHeadersSize: FIELDS_BYTES_MAX,
    attachmentEncoding: 'arraybuffer',
  });
  const builder = createTextBuilder();
  const field = (name: string, value: string): void => {
    if (value !== '') builder.write(`${name}: ${value}\n`);
  };
  field('Subject', mail.subject ?? '');
  field('From', mail.from === undefined ? '' : toAddresses([mail.from]));
  field('To', toAddresses(mail.to ?? []));
  field('Cc', toAddresses(mail.cc ?? []));
  field('Date', mail.date ?? '');
  const names = mail.attachments.map(({ filename }) => filename ?? '').filter((name) => name !== '');
  field('Attachments', names.join(', '));
  builder.endParagraph();
  if (mail.text !== undefined && mail.text.trim() !== '') builder.write(mail.text);
  else if (mail.html !== undefined) writeHtml(mail.html, builder);
  for (const attachment of mail.attachments) writeAttached(attachment, builder);
  builder.endLine();
  return builder.finish(mail.subject ?? null);
}

function toAddresses(addresses: readonly Address[]): string {
  return addresses
    .slice(0, ADDRESSES_MAX)
    .map(({ name, address, group }) => {
      if (group !== undefined) return `${name}: ${toAddresses(group)}`;
      return name === '' ? (address ?? '') : `${name} <${address ?? ''}>`;
    })
    .join(', ');
}

function writeAttached({ mimeType, filename, content }: Attachment, builder: TextBuilder): void {
  if (!mimeType.startsWith('text/') || typeof content === 'string') return;
  const bytes = new Uint8Array(content);
  if (bytes.length > ATTACHED_BYTES_MAX) return;
  const { text } = decodeText(bytes);
  if (text.trim() === '') return;
  builder.endParagraph();
  if (filename !== null) builder.heading(2, filename);
  if (mimeType === 'text/html') writeHtml(text, builder);
  else builder.write(text);
  builder.endParagraph();
}
