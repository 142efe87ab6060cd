/** A page of a list by a whole number that grows. */
export type Page = Readonly<{ limit: number; after?: number | undefined }>;
