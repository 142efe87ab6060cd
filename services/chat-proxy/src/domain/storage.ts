/** What a chatflow or a workspace lets the platform keep of conversations. */
export interface Storage {
  /** `nothing`: neither question nor answer reaches the database, whatever the client asks for. */
  readonly keeps: 'all' | 'nothing';
  /** Days a conversation is kept after it was last used; null: until its owner deletes it. */
  readonly retentionDays: number | null;
}

export const KEEPS_ALL: Storage = { keeps: 'all', retentionDays: null };

/** What both allow; one of them, where that is the same. */
export function stricter(one: Storage, other: Storage): Storage {
  if (other.keeps === 'all' && other.retentionDays === null) return one;
  const days = [one.retentionDays, other.retentionDays].filter((limit) => limit !== null);
  return {
    keeps: one.keeps === 'nothing' ? 'nothing' : other.keeps,
    retentionDays: days.length > 0 ? Math.min(...days) : null,
  };
}
