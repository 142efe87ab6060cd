import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, expect, it } from '@jest/globals';
import { request } from 'undici';
import { startDemoUpstream } from '../src/fakes/demo-upstream.ts';
import { directive } from '../src/fakes/scenario.ts';
import { payloads, post } from './wire.ts';

const fast = directive({});

describe('the demo upstream', () => {
  it('speaks Flowise and OpenAI on one port', async () => {
    const upstream = await startDemoUpstream({ flowiseApiKey: 'fk', openAiApiKey: 'ok' });
    const list = await request(`${upstream.flowiseUrl}/api/v1/chatflows`, { headers: { authorization: 'Bearer fk' } });
    expect(await list.body.json()).toMatchObject([{ type: 'CHATFLOW' }, { type: 'AGENTFLOW' }]);
    const headers = { authorization: 'Bearer ok' };
    const models = await request(`${upstream.openAiUrl}/models`, { headers });
    expect(await models.body.json()).toMatchObject({ data: [{ id: 'demo-mini' }, { id: 'demo-large' }] });

    const messages = [{ role: 'user', content: `What is a hold? ${fast}` }];
    const chat = await post(`${upstream.openAiUrl}/chat/completions`, { model: 'demo-mini', messages }, { headers });
    expect(await chat.body.json()).toMatchObject({
      choices: [{ message: { content: expect.stringContaining('"What is a hold?"') } }],
      usage: { completion_tokens: expect.any(Number) },
    });
    await upstream.stop();
  });

  it('remembers the conversation and answers at a readable pace', async () => {
    const upstream = await startDemoUpstream();
    const url = `${upstream.flowiseUrl}/api/v1/prediction/${upstream.flows[0]?.id}`;
    await post(url, { question: `my cat is called Tom ${fast}`, chatId: 'c' }).then((res) => res.body.dump());
    const start = performance.now();
    const res = await post(url, { question: 'and now?', chatId: 'c', streaming: true });
    let seen = '';
    for await (const part of res.body) {
      seen += part;
      if (payloads(seen).length > 12) break;
    }
    expect(performance.now() - start).toBeGreaterThan(250 + 10 * 33);
    await upstream.stop();
    const again = await startDemoUpstream({ port: upstream.port });
    expect(again.flowiseUrl).toBe(upstream.flowiseUrl);
    await again.stop();
  });

  it('runs as a program that announces itself and ends on SIGTERM', async () => {
    const program = new URL('../src/fakes/demo-upstream.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, ['--conditions=tollgate', program, '--port', '0', '--flowise-key', 'fk'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = once(child, 'exit');
    const [line] = await once(createInterface({ input: child.stdout }), 'line');
    const ready = JSON.parse(line);
    expect(ready).toMatchObject({
      models: ['demo-mini', 'demo-large'],
      flows: [{ kind: 'chain' }, { kind: 'agentflow' }],
    });
    const ping = await request(`${ready.flowiseUrl}/api/v1/ping`);
    expect(await ping.body.text()).toBe('pong');
    child.kill('SIGTERM');
    expect(await exit).toEqual([0, null]);
  });
});
