/** Exactly JSON in UTF-8 (RFC 8259, section 11): look-alikes such as `application/jsonx` or another charset are not. */
export const isJson = (contentType: string | undefined): boolean =>
  /^application\/json(\s*;\s*charset="?utf-8"?)?\s*$/i.test(contentType ?? '');
