/** An event as WHATWG HTML, 9.2.6, dispatches it. */
interface ReferenceEvent {
  readonly data: string;
  readonly type: string;
  readonly id: string;
}

/**
 * The whole of a stream at once, word by word after the standard: slow, simple and made apart from the parser it judges.
 * An event that no blank line follows is not dispatched.
 */
function referenceEvents(bytes: Uint8Array): ReferenceEvent[] {
  const lines = new TextDecoder('utf-8').decode(bytes).split(/\r\n|\n|\r/);
  lines.pop(); // what follows the last end of a line is no line yet
  const events: ReferenceEvent[] = [];
  let [data, type, id] = ['', '', ''];
  for (const line of lines) {
    if (line === '') {
      if (data !== '') events.push({ data: data.slice(0, -1), type: type || 'message', id });
      [data, type] = ['', ''];
      continue;
    }
    const colon = line.indexOf(':');
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') data += `${value}\n`;
    else if (field === 'event') type = value;
    else if (field === 'id' && !value.includes('\0')) id = value;
  }
  return events;
}

/** What a client is given, event by event. */
export const referenceData = (bytes: Uint8Array): string[] => referenceEvents(bytes).map(({ data }) => data);
