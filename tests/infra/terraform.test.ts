import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { SERVICE_NAMES } from '@tollgate/contracts';
import { readVariables } from '../../scripts/environment/variables.ts';

const FOLDER = join('infra', 'terraform', 'aws');
const read = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');
const services = read('services.tf');

describe('the example of a cloud', () => {
  it('gives each service what its schema requires, and nothing that no schema knows', async () => {
    const variables = await readVariables();
    const known = new Set(SERVICE_NAMES.flatMap((service) => variables[service].map(({ name }) => name)));
    const named = [...services.matchAll(/\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+|PORT|HOST)\b(?=\s*=|")/g)].map(
      ([, name = '']) => name,
    );
    expect([...new Set(named)].filter((name) => !known.has(name))).toEqual([]);
    for (const service of SERVICE_NAMES) {
      const own = new RegExp(`^ {4}${service} = \\{\\n[^}]*\\}[^}]*\\}`, 'm').exec(services)?.[0] ?? '';
      const keys = new RegExp(`^ {4}${service} += \\[(.*)\\]$`, 'm').exec(services)?.[1] ?? '';
      const required = variables[service].filter((row) => row.required).map(({ name }) => name);
      expect([service, required.filter((name) => !`${own} ${keys}`.includes(name))]).toEqual([service, []]);
    }
  });

  it('keeps streams open for longer than the longest answer, and tasks for as long as they take to end', () => {
    const seconds = (pattern: RegExp, text: string) => Number(pattern.exec(text)?.[1]);
    expect(seconds(/idle_timeout = (\d+)/, read('balancer.tf'))).toBeGreaterThan(900);
    const stop = seconds(/stopTimeout\s+= (\d+)/, services);
    const [accept, close] = [
      seconds(/SHUTDOWN_ACCEPT\s+= "(\d+)s"/, services),
      seconds(/SHUTDOWN_CLOSE\s+= "(\d+)s"/, services),
    ];
    const drain = seconds(/var\.drain_seconds <= (\d+)/, read('variables.tf'));
    expect(accept + drain + close).toBeLessThan(stop);
    expect(seconds(/deregistration_delay = (\d+)/, read('balancer.tf'))).toBeGreaterThanOrEqual(stop);
  });

  it('holds no secret in the open', () => {
    const texts = readdirSync(FOLDER).map(read).join('\n');
    expect(texts).not.toMatch(/(?:password|secret_string)\s+= "[^"]/);
  });

  const hasTerraform = spawnSync('terraform', ['version']).status === 0;
  (hasTerraform ? describe : describe.skip)('where terraform is', () => {
    it('is formatted', () => {
      expect(spawnSync('terraform', ['fmt', '-check', '-recursive', FOLDER]).status).toBe(0);
    });
  });
});
