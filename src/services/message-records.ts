/** What a message is made of when it is stored: the rules of its content. */

import { toSeconds } from '../clock.ts';
import { ApiError } from '../errors.ts';
import type { Ports } from '../ports.ts';
import type { CreateMessageRequest, MessageObject } from '../schemas/generated/messages.ts';
import { toMetadata } from './metadata.ts';

export type MessageRecord = MessageObject;

export const MESSAGE_LENGTH_MAX = 256_000;

/** A message as it will be stored. `path` is where it stands in the request. Errors: 400 naming the parameter. */
export function toMessageRecord(
  deps: Pick<Ports, 'clock' | 'ids'>,
  threadId: string,
  body: CreateMessageRequest,
  path: string,
): MessageRecord {
  const now = toSeconds(deps.clock.nowMs());
  const at = (name: string): string => (path === '' ? name : `${path}.${name}`);
  return {
    id: deps.ids.create('message'),
    object: 'thread.message',
    created_at: now,
    thread_id: threadId,
    status: 'completed',
    incomplete_details: null,
    completed_at: now,
    incomplete_at: null,
    role: body.role,
    content: toContent(body.content, at('content')),
    assistant_id: null,
    run_id: null,
    attachments: toAttachments(body.attachments, at('attachments')),
    metadata: toMetadata(body.metadata, at('metadata')),
  };
}

type GivenPart = Exclude<CreateMessageRequest['content'], string>[number];

/** `param` is where it stands in the request. Errors: 400 naming the parameter. */
export function toContent(content: CreateMessageRequest['content'], param: string): MessageRecord['content'] {
  if (typeof content === 'string') return [toTextPart(content, param)];
  return content.map((part, index) => toPart(part, `${param}[${index}]`));
}

function toPart(part: GivenPart, param: string): MessageRecord['content'][number] {
  switch (part.type) {
    case 'text':
      return toTextPart(part.text, `${param}.text`);
    case 'image_url': {
      const { url, detail = 'auto' } = part.image_url;
      checkImageUrl(url, `${param}.image_url.url`);
      return { type: 'image_url', image_url: { url, detail } };
    }
    case 'image_file': {
      const { file_id: fileId, detail = 'auto' } = part.image_file;
      return { type: 'image_file', image_file: { file_id: fileId, detail } };
    }
  }
}

function toTextPart(text: string, param: string): MessageRecord['content'][number] {
  checkText(text, param);
  return { type: 'text', text: { value: text, annotations: [] } };
}

/** Whether the files are there is checked by `attachments.ts`. Errors: 400. */
function toAttachments(
  given: CreateMessageRequest['attachments'],
  param: string,
): MessageRecord['attachments'] {
  return (given ?? []).map(({ file_id: fileId, tools }, index) => {
    if (fileId === undefined) {
      const at = `${param}[${index}].file_id`;
      throw new ApiError('missing_required_parameter', `Missing required parameter: '${at}'.`, { param: at });
    }
    return { file_id: fileId, ...(tools === undefined ? {} : { tools }) };
  });
}

function checkText(text: string, param: string): void {
  if (text === '') throw ApiError.invalidValue(param, `Invalid '${param}': the text must not be empty.`);
  if (text.length > MESSAGE_LENGTH_MAX) {
    throw new ApiError(
      'invalid_value',
      `Invalid '${param}': string too long. Expected a string with maximum length ${MESSAGE_LENGTH_MAX}, but got a string with length ${text.length} instead.`,
      { param, wireCode: 'string_above_max_length' },
    );
  }
}

function checkImageUrl(url: string, param: string): void {
  if (!/^(https?:\/\/|data:image\/)/i.test(url)) {
    throw ApiError.invalidValue(
      param,
      `Invalid '${param}': expected an http(s) URL or a data URL of an image.`,
    );
  }
}

export function toMessage(record: MessageRecord): MessageObject {
  return record;
}
