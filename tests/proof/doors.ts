import type { Door } from './doors/door.ts';
import { FLOWISE } from './doors/flowise.ts';
import { NATIVE } from './doors/native.ts';
import { OPENAI } from './doors/openai.ts';
import { SOCKET } from './doors/socket.ts';

export type { Door, Heard, Question } from './doors/door.ts';

/** The doors there are. */
export const DOORS: readonly Door[] = [...NATIVE, ...OPENAI, ...FLOWISE, SOCKET];
