import { SessionId } from '@tollgate/contracts';
import type { Chatflow } from './chatflow.ts';
/** When a conversation that begins now is forgotten, should no message be stored in it. */
export declare const forgetAt: ({ storage }: Pick<Chatflow, 'storage'>, now: Date) => Date;
export interface Turn {
    readonly role: 'user' | 'assistant';
    readonly content: string;
}
/** `new` for nothing or an empty text; `invalid` for anything that is no UUID. */
export declare function sessionIdFrom(text: string | null | undefined): SessionId | 'new' | 'invalid';
/** The first line of the first question, shortened at a word. */
export declare function topicOf(question: string): string;
/** The newest turns that fit. */
export declare function recentTurns(turns: readonly Turn[]): Turn[];
