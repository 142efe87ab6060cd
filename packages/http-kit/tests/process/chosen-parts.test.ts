import { describe, expect, it } from '@jest/globals';
import { ChosenParts } from '@tollgate/http-kit';

/** A source that writes down what is done with it. */
function watchedSource(parts: readonly string[], fault?: Error) {
  const done: string[] = [];
  async function* source(): AsyncGenerator<string, void, undefined> {
    try {
      for (const part of parts) {
        yield part;
        done.push(part);
      }
      if (fault) throw fault;
    } finally {
      done.push('over');
    }
  }
  return { done, source: source() };
}

async function all(parts: AsyncIterable<string>): Promise<string[]> {
  const got: string[] = [];
  for await (const part of parts) got.push(part);
  return got;
}

describe('parts of a source that is chosen first', () => {
  it('are its own, and nothing is chosen before they are asked for', async () => {
    const { source } = watchedSource(['one', 'two']);
    let chosen = 0;
    const parts = new ChosenParts(async () => {
      chosen += 1;
      return { source };
    });
    expect(chosen).toBe(0);
    expect(await all(parts)).toEqual(['one', 'two']);
    expect(await parts.next()).toEqual({ done: true, value: undefined });
    expect(chosen).toBe(1);
  });

  it('begin with the one that was looked at for the choice', async () => {
    const { source } = watchedSource(['one', 'two', 'three']);
    expect(await all(new ChosenParts(async () => ({ source, first: await source.next() })))).toEqual([
      'one',
      'two',
      'three',
    ]);
  });

  it('never begin when they are ended before', async () => {
    const parts = new ChosenParts<string>(async () => Promise.reject(new Error('must not be chosen')));
    expect(await parts.return()).toEqual({ done: true, value: undefined });
    expect(await parts.next()).toEqual({ done: true, value: undefined });
  });

  it('end their source when they are ended while it is being chosen', async () => {
    const { source, done } = watchedSource(['one', 'two']);
    const choice = Promise.withResolvers<void>();
    const parts = new ChosenParts(async () => {
      await choice.promise;
      return { source };
    });
    const first = parts.next();
    const ended = parts.return();
    choice.resolve();
    expect(await first).toEqual({ done: false, value: 'one' });
    await ended;
    expect(done).toEqual(['over']);
    expect(await parts.next()).toEqual({ done: true, value: undefined });
  });

  it('end their source when whoever reads them leaves or is told to throw', async () => {
    const left = watchedSource(['one', 'two']);
    for await (const part of new ChosenParts(async () => left)) if (part === 'one') break;
    expect(left.done).toEqual(['over']);
    const thrown = watchedSource(['one', 'two']);
    const parts = new ChosenParts(async () => thrown);
    await parts.next();
    await expect(parts.throw(new Error('enough'))).rejects.toThrow('enough');
    expect(thrown.done).toEqual(['over']);
  });

  it('are over after a choice that failed, and nobody is told of a late failure', async () => {
    const parts = new ChosenParts<string>(async () => Promise.reject(new Error('nobody is there')));
    await expect(parts.next()).rejects.toThrow('nobody is there');
    expect(await parts.next()).toEqual({ done: true, value: undefined });
    expect(await parts.return()).toEqual({ done: true, value: undefined });
  });

  it('tell of a failure behind the first of them, once, and throw it', async () => {
    const { source } = watchedSource(['one'], new Error('it broke off'));
    const failures: unknown[] = [];
    const failed = (error: unknown): void => void failures.push(error);
    const parts = new ChosenParts(async () => ({ source, first: await source.next(), failed }));
    await expect(all(parts)).rejects.toThrow('it broke off');
    expect(failures).toEqual([new Error('it broke off')]);
  });

  it('hand two questions at once on in their order', async () => {
    const { source } = watchedSource(['one', 'two']);
    const parts = new ChosenParts(async () => ({ source }));
    expect((await Promise.all([parts.next(), parts.next()])).map(({ value }) => value)).toEqual(['one', 'two']);
  });
});
