/** Matches a text anywhere, in any case of letters; what the user typed is taken by its letters alone. */
export const containing = (text: string) => ({
  $regex: text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`),
  $options: 'i',
});
