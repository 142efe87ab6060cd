/** What a refused request may leave behind, each with its reason. */
export const MAY_CHANGE: Readonly<Record<string, string>> = {};
