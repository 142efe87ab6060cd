import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';

interface Step {
  readonly uses?: string;
  readonly run?: string;
}
interface Job {
  readonly uses?: string;
  readonly steps?: readonly Step[];
  readonly 'timeout-minutes'?: number;
}
interface Workflow {
  readonly permissions?: Readonly<Record<string, string>>;
  readonly jobs: Readonly<Record<string, Job>>;
}

const FOLDER = join('.github', 'workflows');
const workflows = readdirSync(FOLDER).map(
  (name) => [name, parse(readFileSync(join(FOLDER, name), 'utf8')) as Workflow] as const,
);
const scripts = Object.keys(
  (JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }).scripts,
);
/** What pnpm has itself. */
const OF_PNPM = new Set(['install', 'audit', 'sbom']);

describe.each(workflows)('%s', (_name, { permissions, jobs }) => {
  const steps = Object.values(jobs).flatMap((job) => job.steps ?? []);
  const lines = steps.flatMap(({ run = '' }) => run.split(/\n|&&/).map((line) => line.trim()));

  it('runs only what is in the repository', () => {
    const files = lines.flatMap((line) => line.match(/(?<![\w/])(?:\.\/)?(?:scripts|tests|infra)\/[\w./-]+/g) ?? []);
    expect(files.filter((path) => !existsSync(path))).toEqual([]);
    const called = lines.flatMap((line) =>
      [...line.matchAll(/^pnpm (?:run )?([a-z:]+)/g)].map(([, name = '']) => name),
    );
    expect(called.filter((name) => !OF_PNPM.has(name) && !scripts.includes(name))).toEqual([]);
  });

  it('uses workflows that are there, and actions of a named version', () => {
    const used = [...Object.values(jobs), ...steps].flatMap(({ uses }) => uses ?? []);
    const [own, foreign] = [
      used.filter((name) => name.startsWith('./')),
      used.filter((name) => !name.startsWith('./')),
    ];
    expect(own.filter((path) => !existsSync(path))).toEqual([]);
    expect(foreign.filter((name) => !/^[\w-]+\/[\w./-]+@(?:v?\d[\w.]*|[0-9a-f]{40})$/.test(name))).toEqual([]);
  });

  it('has no more rights than a reader, and no job without an end', () => {
    expect(permissions).toEqual({ contents: 'read' });
    const endless = Object.entries(jobs).filter(([, job]) => job.uses === undefined && !job['timeout-minutes']);
    expect(endless.map(([name]) => name)).toEqual([]);
  });

  it('puts nothing that a stranger writes into a command', () => {
    const titles = /\$\{\{\s*github\.(?:event\.(?:pull_request|issue|comment|head_commit)|head_ref)/;
    expect(lines.filter((line) => titles.test(line))).toEqual([]);
  });
});

it('forms for issues and the container for developers can be read', () => {
  for (const name of readdirSync('.github/ISSUE_TEMPLATE')) {
    expect(parse(readFileSync(join('.github/ISSUE_TEMPLATE', name), 'utf8'))).toEqual(expect.any(Object));
  }
  const container = JSON.parse(readFileSync('.devcontainer/devcontainer.json', 'utf8')) as {
    postCreateCommand: string;
  };
  const { packageManager } = JSON.parse(readFileSync('package.json', 'utf8')) as { packageManager: string };
  expect(container.postCreateCommand).toContain(packageManager);
  expect(JSON.parse(readFileSync('renovate.json', 'utf8'))).toMatchObject({
    extends: expect.arrayContaining(['helpers:pinGitHubActionDigests']),
  });
});
