import type { Form } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import { shownName } from '../../domain/files/file-name.ts';
import { judgeFile, KNOWN_TYPES } from '../../domain/files/file-types.ts';
import { Sampler } from '../../domain/files/sampler.ts';
import type { SideFile } from '../../ports.ts';

const ALL_TYPES: ReadonlySet<string> = new Set(KNOWN_TYPES);

/** The files of a form, whose number and sizes the contract bounds, each of the type it says it is. */
export async function takeFiles(form: Pick<Form<unknown>, 'files'>): Promise<SideFile[]> {
  const files: SideFile[] = [];
  for await (const { name, mime, chunks } of form.files()) {
    const sampler = new Sampler();
    const pieces: Uint8Array[] = [];
    for await (const chunk of chunks) {
      sampler.add(chunk);
      pieces.push(chunk);
    }
    const judged = judgeFile(sampler.sample(), { name, mime }, ALL_TYPES);
    if ('refusal' in judged) throw refused(files.length, judged.refusal);
    files.push({ name: shownName(name), mime: judged.mime, bytes: Buffer.concat(pieces) });
  }
  return files;
}

const refused = (at: number, message: string): AppError =>
  new AppError('VALIDATION_FAILED', undefined, { errors: [{ path: `files.${at}`, message }] });
