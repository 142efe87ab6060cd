import { randomUUID } from 'node:crypto';
import { type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { ErrorCode } from '@tollgate/contracts';
import { AppError } from '../app-error.ts';
import { PROBLEM_TYPE, toProblem } from '../problem.ts';
import { requestContext } from '../request-context.ts';
import { dialectOfPath } from './dialects.ts';
import { hardeningHeaders } from './hardening.ts';
import { hasLongAddress } from './request-line.ts';
import { outgoingError } from './respond.ts';

/** What Node's HTTP parser refuses before any framework sees a request. */
const CODE_BY_FAULT: Readonly<Record<string, ErrorCode>> = {
  HPE_HEADER_OVERFLOW: 'HEADERS_TOO_LARGE',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'BODY_TOO_LARGE',
  ERR_HTTP_REQUEST_TIMEOUT: 'REQUEST_TIMEOUT',
};

/**
 * Answers broken, oversized and overdue requests, CONNECT, and expectations other than `100-continue`, with a problem document
 * like every other error.
 */
export function answerBrokenRequests(server: Server, production: boolean): void {
  server.on('clientError', (fault: NodeJS.ErrnoException, socket) => {
    // The connection ends with the answer.
    if (fault.code === 'ECONNRESET' || !socket.writable || hasBegunAnswer(socket)) socket.destroy();
    else write(socket, errorOf(fault), production);
  });
  server.on('connect', (_request, socket: Duplex) =>
    write(socket, new AppError('METHOD_NOT_ALLOWED', undefined, { headers: { allow: '' } }), production),
  );
  server.on('checkExpectation', (_request, response: ServerResponse) =>
    refuseRequest(response, new AppError('EXPECTATION_FAILED'), production),
  );
}

function errorOf(fault: NodeJS.ErrnoException): AppError {
  const code = CODE_BY_FAULT[fault.code ?? ''];
  if (code === 'HEADERS_TOO_LARGE' && hasLongAddress(Object(fault).rawPacket)) return new AppError('URI_TOO_LONG');
  return code ? new AppError(code) : new AppError('VALIDATION_FAILED', 'The request is not valid HTTP');
}

/** Answers before any framework has seen the request. Where it ends is in doubt: the connection ends with the answer. */
export function refuseRequest(response: ServerResponse, error: AppError, production: boolean): void {
  const requestId = randomUUID();
  const dialect = dialectOfPath(response.req.url ?? '');
  const { status, headers, body } = requestContext.run({ requestId }, () => outgoingError(error, dialect));
  const all = {
    ...Object.fromEntries(hardeningHeaders(production)),
    ...headers,
    'x-request-id': requestId,
    connection: 'close',
  };
  response.writeHead(status, { ...all, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

/** Node keeps the answer that a socket is carrying under this name; a second status line inside it would be garbage. */
const hasBegunAnswer = (socket: Duplex): boolean =>
  (socket as { _httpMessage?: ServerResponse | null })._httpMessage?.headersSent ?? false;

function write(socket: Duplex, error: AppError, production: boolean): void {
  const requestId = randomUUID();
  const body = requestContext.run({ requestId }, () => JSON.stringify(toProblem(error)));
  const headers = {
    ...Object.fromEntries(hardeningHeaders(production)),
    ...error.headers,
    'content-type': PROBLEM_TYPE,
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(body),
    'x-request-id': requestId,
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  // Ending, not destroying: a reset could overtake the answer.
  socket.end(`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\n${lines.join('')}\r\n${body}`);
}
