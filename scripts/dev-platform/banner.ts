import { heading, print, secondsSinceStart, step } from './progress.ts';
import type { DevState } from './state.ts';

/** What a newcomer needs next: where things are, who may log in, and a conversation to copy. */
export function welcome({ urls, users, chatflows }: DevState): void {
  const { demo } = users;
  const chatflow = chatflows[0]?.id ?? '<chatflow id>';
  print(`
${heading(`Tollgate is ready after ${secondsSinceStart()} s.`)}

  auth        ${urls.auth}   (docs ${urls.auth}/docs)
  chat-proxy  ${urls.chatProxy}   (docs ${urls.chatProxy}/docs)
  accounting  ${urls.accounting}   (docs ${urls.accounting}/docs)
  mails       ${urls.mail}

${Object.values(users)
  .map((user) => `  ${user.role.padEnd(11)} ${user.username.padEnd(11)} password ${user.password}`)
  .join('\n')}

${heading('A conversation to copy: log in, stream an answer, read the balance')}

TOKEN=$(curl -s ${urls.chatProxy}/api/v1/chat/authenticate -H 'content-type: application/json' \\
  -d '{"username":"${demo.username}","password":"${demo.password}"}' | sed -E 's/.*"access_token":"([^"]+)".*/\\1/')

curl -N ${urls.chatProxy}/api/v1/chat/predict/stream/store -H "authorization: Bearer $TOKEN" \\
  -H 'content-type: application/json' -d '{"question":"What is a tollgate?","chatflow_id":"${chatflow}"}'

curl -s ${urls.accounting}/api/credits/balance -H "authorization: Bearer $TOKEN"

Everything scripts need is in .tollgate/dev.json. Ctrl-C (or ./scripts/dev --stop) ends it; data stays until --fresh.`);
}

export const goodbye = (): void => step('everything is stopped; data is kept');
