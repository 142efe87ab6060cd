import { unavailable } from '@tollgate/http-kit';
import type Sharp from 'sharp';
import type { Picture, Pictures } from '../ports.ts';

export interface PicturesOptions {
  /** A picture with more pixels is not unfolded: a small file can hold an enormous one. */
  readonly mostPixels: number;
  /** How many are worked on at once. */
  readonly atOnce: number;
}

const MOST_WAITING = 64;
const RETRY_AFTER_SECONDS = 2;
const SECONDS_AT_MOST = 10;
/** Everything else that libvips can read (SVG, PDF, …) stays closed. */
const READERS = [
  'VipsForeignLoadPngBuffer',
  'VipsForeignLoadJpegBuffer',
  'VipsForeignLoadWebpBuffer',
  'VipsForeignLoadNsgifBuffer',
];

/** libvips works on its own threads. */
export function createPictures({ mostPixels, atOnce }: PicturesOptions): Pictures {
  const inTurn = createTurns(atOnce);
  const options = { limitInputPixels: mostPixels, failOn: 'error', sequentialRead: true, animated: false } as const;

  let loaded: Promise<typeof Sharp> | undefined;
  const load = (): Promise<typeof Sharp> => (loaded ??= loadSharp());

  async function measure(sharp: typeof Sharp, head: Uint8Array): Promise<Picture | undefined> {
    // The measures are read and nothing is unfolded, so that they may be of any size.
    const { width, height } = await sharp(head, { ...options, failOn: 'none', limitInputPixels: false }).metadata();
    return { width, height };
  }

  async function thumbnail(sharp: typeof Sharp, bytes: Uint8Array, size: number): Promise<Uint8Array> {
    return sharp(bytes, options)
      .autoOrient() // what a camera notes about it is lost with the rest of its notes
      .resize(size, size, { fit: 'inside', withoutEnlargement: true })
      .webp({ quality: 80 })
      .timeout({ seconds: SECONDS_AT_MOST })
      .toBuffer();
  }

  return {
    async measure(head) {
      const sharp = await load();
      return measure(sharp, head).catch(() => undefined);
    },
    thumbnail: (read, size) =>
      inTurn(async () => {
        const [sharp, bytes] = [await load(), await read()];
        return thumbnail(sharp, bytes, size).catch(() => undefined);
      }),
  };
}

/** With the first picture and once: libvips is large, and what is closed for a moment would fail a picture under way. */
async function loadSharp(): Promise<typeof Sharp> {
  const { default: sharp } = await import('sharp');
  sharp.block({ operation: ['VipsForeignLoad'] });
  sharp.unblock({ operation: READERS });
  sharp.concurrency(1);
  sharp.cache(false);
  return sharp;
}

function createTurns(atOnce: number) {
  let running = 0;
  const waiting: (() => void)[] = [];
  return async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running >= atOnce) {
      if (waiting.length >= MOST_WAITING) throw unavailable('DEPENDENCY_UNAVAILABLE', RETRY_AFTER_SECONDS);
      await new Promise<void>((resolve) => waiting.push(resolve));
    } else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      // The place goes from hand to hand.
      if (next) next();
      else running -= 1;
    }
  };
}
