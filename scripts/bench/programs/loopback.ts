// Loaded into a program of others (`--import`): wherever it means to listen, it listens on loopback, and says so.
import { Server } from 'node:net';
import { announce } from './announce.ts';

const original = Server.prototype.listen;
Server.prototype.listen = function listen(this: Server): Server {
  Server.prototype.listen = original;
  return this.listen(0, '127.0.0.1', () => announce(this));
};
