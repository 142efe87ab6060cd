import sharp from 'sharp';

const crc = (bytes: Buffer): number => {
  let value = 0xffffffff;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (value & 1 ? 0xedb88320 : 0);
  }
  return (value ^ 0xffffffff) >>> 0;
};

function pngChunk(type: string, body: Buffer): Buffer {
  const typed = Buffer.concat([Buffer.from(type), body]);
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(body.byteLength);
  check.writeUInt32BE(crc(typed));
  return Buffer.concat([length, typed, check]);
}

/** A few bytes that claim to be a picture of any size. */
export function hugePng(width: number, height: number): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  const data = Buffer.from([0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01]);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    pngChunk('IHDR', header),
    pngChunk('IDAT', data),
    pngChunk('IEND', Buffer.alloc(0)),
  ]);
}

const photo = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: { r: 200, g: 30, b: 30 } } });

export const png = (width = 40, height = 20): Promise<Buffer> => photo(width, height).png().toBuffer();

/** As a camera writes it: turned, and with a note of where it was. */
export const cameraJpeg = (): Promise<Buffer> =>
  photo(60, 30)
    .withExif({ IFD0: { ImageDescription: 'taken at home' }, IFD3: { GPSLatitude: '52/1 31/1 0/1' } })
    .withMetadata({ orientation: 6 })
    .jpeg()
    .toBuffer();

interface Entry {
  readonly name: string;
  readonly unpackedBytes?: number;
}

/** A ZIP archive of empty entries. */
export function zip(entries: readonly Entry[], comment = ''): Buffer {
  const locals: Buffer[] = [];
  const listed: Buffer[] = [];
  let at = 0;
  for (const { name, unpackedBytes = 0 } of entries) {
    const local = Buffer.alloc(30 + name.length);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    local.write(name, 30);
    locals.push(local);
    const line = Buffer.alloc(46 + name.length);
    line.writeUInt32LE(0x02014b50, 0);
    line.writeUInt32LE(unpackedBytes, 24);
    line.writeUInt16LE(name.length, 28);
    line.writeUInt32LE(at, 42);
    line.write(name, 46);
    listed.push(line);
    at += local.byteLength;
  }
  const directory = Buffer.concat(listed);
  const end = Buffer.alloc(22 + comment.length);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(directory.byteLength, 12);
  end.writeUInt32LE(at, 16);
  end.writeUInt16LE(comment.length, 20);
  end.write(comment, 22);
  return Buffer.concat([...locals, directory, end]);
}

const WORD = [{ name: '[Content_Types].xml' }, { name: 'word/document.xml' }];
export const docx = (more: readonly Entry[] = []): Buffer => zip([...WORD, ...more]);

const ascii = (text: string, ...rest: number[]) => Buffer.concat([Buffer.from(text), Buffer.from(rest)]);

/** The beginning of each type that is known, by its name. */
export const BEGINNINGS: Readonly<Record<string, { readonly bytes: Buffer; readonly extension: string }>> = {
  'image/png': { bytes: hugePng(2, 2), extension: 'png' },
  'image/jpeg': { bytes: Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 16]), extension: 'jpg' },
  'image/gif': { bytes: ascii('GIF89a', 1, 0, 1, 0), extension: 'gif' },
  'image/webp': { bytes: ascii('RIFF\u0004\u0000\u0000\u0000WEBPVP8 ', 0), extension: 'webp' },
  'application/pdf': { bytes: ascii('%PDF-1.7\n', 0xe2, 0xe3), extension: 'pdf' },
  'text/plain': { bytes: ascii('plain words'), extension: 'txt' },
  'text/csv': { bytes: ascii('a;b\n1;2\n'), extension: 'csv' },
  'application/msword': {
    bytes: Buffer.from([0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, 0, 0]),
    extension: 'doc',
  },
  'application/vnd.openxmlformats-officedocument.wordprocessingml.document': { bytes: docx(), extension: 'docx' },
  'audio/webm': { bytes: Buffer.from([0x1a, 0x45, 0xdf, 0xa3, 0x9f, 0x42]), extension: 'webm' },
  'audio/mpeg': { bytes: ascii('ID3', 4, 0, 0, 0), extension: 'mp3' },
  'audio/wav': { bytes: ascii('RIFF\u0004\u0000\u0000\u0000WAVEfmt ', 0), extension: 'wav' },
  'audio/ogg': { bytes: ascii('OggS', 0, 2), extension: 'ogg' },
  'audio/mp4': { bytes: Buffer.concat([Buffer.from([0, 0, 0, 32]), ascii('ftypM4A ', 0)]), extension: 'm4a' },
};
