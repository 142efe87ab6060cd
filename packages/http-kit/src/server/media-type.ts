/** Exactly JSON in UTF-8 (RFC 8259, section 11): look-alikes such as `application/jsonx` or another charset are not. */
export const isJson = (contentType: string | undefined): boolean =>
  /^application\/json(\s*;\s*charset="?utf-8"?)?\s*$/i.test(contentType ?? '');

/** With whatever parameters; that there is a boundary among them is the parser's affair. */
export const isForm = (contentType: string | undefined): boolean =>
  /^multipart\/form-data\s*;/i.test(contentType ?? '');
