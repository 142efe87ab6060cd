import type { ChatflowId, HoldId, SessionId, UserId } from '../domain/wire-types.ts';
/** The key that the names which clients give their conversations are turned into ids with. */
export interface NameKey {
    read(): Promise<Uint8Array>;
}
export interface Feedback {
    readonly id: string;
    readonly userId: UserId;
    readonly sessionId: SessionId;
    readonly upstreamMemoryId: string;
    readonly chatflowId: ChatflowId;
    /** As the client calls the conversation. */
    readonly chatId: string;
    /** The answer that was rated, by its request. */
    readonly requestId: HoldId;
    readonly rating: 'THUMBS_UP' | 'THUMBS_DOWN';
    readonly content: string;
    readonly createdAt: Date;
    readonly upstreamId?: string | undefined;
}
export type FeedbackChange = Partial<Pick<Feedback, 'rating' | 'content'>>;
export interface RatedAnswer {
    /** Of the conversation it belongs to. */
    readonly upstreamMemoryId: string;
    readonly upstreamMessageId: string | undefined;
}
export interface Feedbacks {
    /** The answer of that request in the conversation, by the name that its upstream knows it by. */
    findAnswer(sessionId: SessionId, requestId: HoldId): Promise<RatedAnswer | undefined>;
    /** One for each answer: a second one changes the first. */
    put(feedback: Feedback): Promise<Feedback>;
    find(userId: UserId, id: string): Promise<Feedback | undefined>;
    change(userId: UserId, id: string, change: FeedbackChange): Promise<Feedback | undefined>;
    /** What the upstream calls it. */
    name(id: string, upstreamId: string): Promise<void>;
}
export interface Lead {
    readonly id: string;
    /** Absent for one that was left without credentials. */
    readonly userId?: UserId;
    readonly chatflowId: ChatflowId;
    readonly chatId: string;
    readonly name: string | null;
    readonly email: string | null;
    readonly phone: string | null;
    readonly createdAt: Date;
}
export interface Leads {
    /**
     * One for each conversation. Without a user the first one stays, whatever comes after it. Beyond `mostPerHour` of a
     * chatflow, from everybody without a user together and from each user alone, none is taken. Gives the lead's id and whether it is a new one, or `too-many`.
     */
    put(lead: Lead, mostPerHour: number): Promise<{
        id: string;
        isNew: boolean;
    } | 'too-many'>;
    /** Those of an account that is deleted. */
    forgetOf(userId: UserId): Promise<void>;
}
/** Pages of other origins that chatflows allow. */
export interface FlowOrigins {
    allows(chatflowId: ChatflowId, origin: string): Promise<boolean>;
    /** Whether any chatflow does. */
    isKnown(origin: string): Promise<boolean>;
}
