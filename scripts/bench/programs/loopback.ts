// Loaded into a program of others (`--import`): wherever it means to listen, it listens on loopback, and says so.
import { Server } from 'node:net';
import { announce } from './announce.ts';

const original = Server.prototype.listen;
Server.prototype.listen = function listen(this: Server): Server {
  Server.prototype.listen = original;
  return this.listen(0, '127.0.0.1', () => announce(this));
};

// Portkey's gateway writes into the headers of what it has fetched, which Node does not allow: no stream would be answered
// (Portkey-AI/gateway, issue 1389). It is given a copy it may write to.
const { fetch: fetchOriginal, Response: OriginalResponse } = globalThis;
globalThis.fetch = async (...asked) => {
  const { body, status, statusText, headers } = await fetchOriginal(...asked);
  return new OriginalResponse(body, { status, statusText, headers: new Headers(headers) });
};
