const LONGEST_NAME = 255;
/** Control characters, and those that turn the direction of writing: `gpj.exe` must not read as `exe.jpg`. */
const INVISIBLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu;

/** A client's name of a file, for showing: without folders and without what cannot be seen. Nothing is ever stored under it. */
export function shownName(name: string): string {
  const last = name.normalize('NFC').split(/[/\\]/).at(-1) ?? '';
  const plain = last.replaceAll(INVISIBLE, '').trim();
  if (plain === '' || plain === '.' || plain === '..') return 'file';
  const characters = [...plain];
  // The end of a long name says what the file is.
  return characters.length <= LONGEST_NAME ? plain : characters.slice(-LONGEST_NAME).join('');
}

/**
 * RFC 6266 with RFC 8187: an ASCII name for old clients, and the real one encoded. Both consist of characters that mean
 * nothing in a header, whatever the name is.
 */
export function dispositionOf(kind: 'inline' | 'attachment', name: string): string {
  const ascii = name.replaceAll(/[^\w. -]/g, '_');
  const encoded = encodeURIComponent(name).replaceAll(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16)}`,
  );
  return `${kind}; filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
