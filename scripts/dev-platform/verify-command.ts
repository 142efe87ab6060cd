import { readFile } from 'node:fs/promises';

/** What was exported in lines of JSON. */
export async function readJsonLines<T>(file: string, schema: { parse(value: unknown): T }, what: string): Promise<T[]> {
  const lines = (await readFile(file, 'utf8')).split('\n').filter((line) => line !== '');
  return lines.map((line, index) => {
    try {
      return schema.parse(JSON.parse(line));
    } catch (error) {
      throw new Error(`line ${index + 1} of the file is no ${what}`, { cause: error });
    }
  });
}

interface Auditor<Question, Report> {
  verify(question: Question): Promise<Report>;
  close(): Promise<void>;
}

/** Asks, prints, and closes whatever happens; whether all was right. */
export async function judge<Question, Report extends { readonly ok: boolean }>(
  auditor: Auditor<Question, Report>,
  question: Question,
  print: (report: Report) => void,
): Promise<boolean> {
  try {
    const report = await auditor.verify(question);
    print(report);
    return report.ok;
  } finally {
    await auditor.close();
  }
}

/** Ends the process with 0 when `main` finds all right, 1 when not, 2 when it could not look. */
export async function endWithVerdict(main: () => Promise<boolean>, failed: string): Promise<void> {
  try {
    process.exitCode = (await main()) ? 0 : 1;
  } catch (error) {
    process.stderr.write(`${failed}: ${String(Object(error).message ?? error)}\n`);
    process.exitCode = 2;
  }
}
