import { describe, expect, it } from '@jest/globals';
import type { VariableRow } from '@tollgate/config';
import { COMPOSE_VARIABLES, composeFaults, environmentOf, withPassedThrough } from '../scripts/environment/compose.ts';
import { configurationPage, envExample } from '../scripts/environment/documents.ts';
import { contradictions, type Variables } from '../scripts/environment/variables.ts';

const row = (name: string, given: Partial<VariableRow> = {}): VariableRow => ({
  name,
  aliases: [],
  required: false,
  secret: false,
  text: `What ${name} does`,
  ...given,
});

const VARIABLES: Variables = {
  auth: [
    row('PORT', { default: '3000' }),
    row('PEPPER', { secret: true, required: true }),
    row('METRICS', { secret: true }),
  ],
  'chat-proxy': [row('PORT', { default: '8000' }), row('LEVEL', { default: 'info', aliases: ['LOG'] })],
  accounting: [row('PORT', { default: '3001' }), row('LEVEL', { default: 'info', aliases: ['LOG'] })],
};

const MARKER = '      # From here on made by scripts/check-env.ts --write: an empty value means the default.';
const COMPOSE = `services:
  auth:
    image: x
    environment:
      PORT: '3000'
      PEPPER_FILE: /run/secrets/pepper
${MARKER}
      METRICS_FILE: \${METRICS_FILE:-}

  chat-proxy:
    environment:
      PORT: '8000'
${MARKER}
      LEVEL: \${LEVEL:-}

  accounting:
    environment:
      PORT: '3001'
${MARKER}
      LEVEL: \${LEVEL:-}

  mongo:
    environment:
      ROOT_PASSWORD_FILE: /run/secrets/root
`;

describe('docker-compose.yml', () => {
  it('is right when every service gets all of its variables, and secrets as files', () => {
    expect(composeFaults(VARIABLES, COMPOSE)).toEqual([]);
    expect(withPassedThrough(VARIABLES, COMPOSE)).toBe(COMPOSE);
  });

  it('is at fault when', () => {
    const faultsWith = (before: string, after: string) => composeFaults(VARIABLES, COMPOSE.replace(before, after));
    expect(faultsWith("      PORT: '8000'\n", '')).toEqual(['docker-compose.yml: chat-proxy lacks PORT']);
    expect(faultsWith("PORT: '8000'", "PORT: '8000'\n      SPEED: '1'")).toEqual([
      'docker-compose.yml: chat-proxy gives SPEED, which the schema does not know',
    ]);
    expect(faultsWith('PEPPER_FILE: /run/secrets/pepper', 'PEPPER: salt')).toEqual([
      'docker-compose.yml: auth gives the secret PEPPER in the open; use PEPPER_FILE',
    ]);
    expect(faultsWith('PEPPER_FILE: /run/secrets/pepper', 'PEPPER_FILE: ./pepper')).toEqual([
      'docker-compose.yml: auth needs PEPPER_FILE, a file in /run/secrets',
    ]);
    expect(faultsWith('image: x', 'image: $' + '{IMAGE:-x}')).toEqual([
      'docker-compose.yml: uses $' + '{IMAGE}, which no document describes',
    ]);
    expect(faultsWith('ROOT_PASSWORD_FILE: /run/secrets/root', 'ROOT_PASSWORD: root')).toEqual([
      'docker-compose.yml: gives ROOT_PASSWORD in the open; use ROOT_PASSWORD_FILE',
    ]);
  });

  it('gets new variables written below the marker, and loses those that are gone', () => {
    const stale = COMPOSE.replace('      LEVEL: $' + '{LEVEL:-}\n', '      GONE: $' + '{GONE:-}\n');
    expect(withPassedThrough(VARIABLES, stale)).toBe(COMPOSE);
    expect([...environmentOf('chat-proxy', COMPOSE).keys()]).toEqual(['PORT', 'LEVEL']);
  });
});

describe('the documents', () => {
  it('list every variable once, with its default by service where they differ', () => {
    const example = envExample(VARIABLES);
    expect(example.match(/^(# )?\w+=.*$/gm)).toEqual([
      '# PORT=  # auth 3000, chat-proxy 8000, accounting 3001',
      '# LEVEL=info',
      'PEPPER=',
      '# METRICS=',
      '# AUTH_PORT=3000',
      '# CHAT_PROXY_PORT=8000',
      '# ACCOUNTING_PORT=3001',
      ...COMPOSE_VARIABLES.slice(3).map(({ name, default: value }) => `# ${name}=${value}`),
    ]);
    const page = configurationPage(VARIABLES);
    expect(page).toContain('| `LEVEL` | `info` | chat-proxy, accounting | What LEVEL does. Also `LOG` |');
    expect(page).toContain('| `PEPPER` | **required**, secret | What PEPPER does |');
  });

  it('are refused while one name means two things, or nothing', () => {
    const rival = { ...VARIABLES, accounting: [row('PORT', { text: 'A wine' }), row('MUTE', { text: '' })] };
    expect(contradictions(VARIABLES)).toEqual([]);
    expect(contradictions(rival)).toEqual([
      'PORT means different things: auth: What PORT does | chat-proxy: What PORT does | accounting: A wine',
      'MUTE has no sentence in accounting',
    ]);
  });
});
