/** The hash of a secret under the current key, and behind it those under former keys, by which it may still be stored. */
export type Hashes = readonly [current: string, ...former: string[]];
