import { Writable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { createLogger as createWinston, format, transports } from 'winston';

/** winston, with nothing to format and nothing to filter: it hands finished lines to a destination. */
export interface Pipe {
  /** Not before the text before it was taken. */
  write(text: string): void;
  /** What was written and has not been given to the destination; it is not given any more. */
  takeBack(): string;
  close(): Promise<void>;
}

const LEVEL = 'info';

export function createPipe(destination: NodeJS.WritableStream, taken: () => void): Pipe {
  let underWay = '';
  // A log must not end the stream it was lent, least of all standard output.
  const sink = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      underWay = '';
      destination.write(chunk, () => {
        done();
        taken();
      });
    },
  });
  const transport = new transports.Stream({ stream: sink, eol: '\n' });
  const winston = createWinston({
    level: LEVEL,
    format: format.printf(({ message }) => String(message)),
    transports: [transport],
  });
  return {
    write(text) {
      underWay = text;
      winston.log({ level: LEVEL, message: text });
    },
    takeBack() {
      const text = underWay;
      underWay = '';
      return text;
    },
    async close() {
      // Two buffers in a row; each has handed everything on when the one before it has finished.
      const emptied = finished(transport);
      winston.end();
      await emptied;
      sink.end();
      await finished(sink);
    },
  };
}
