/** A paragraph of words, or a link on a line of its own. Every text in it may come from a stranger. */
export type Block = string | Readonly<{ link: string; label: string }>;
export type Letter = Readonly<{ subject: string; blocks: readonly Block[] }>;

/** A letter as plain text and as HTML. */
export function renderLetter({ blocks }: Letter): { text: string; html: string } {
  const paragraphs = blocks.map(htmlOf).join('\n');
  return {
    text: `${blocks.map(textOf).join('\n\n')}\n`,
    html: `<!doctype html>\n<html lang="en"><body>\n${paragraphs}\n</body></html>\n`,
  };
}

const textOf = (block: Block): string => (typeof block === 'string' ? block : `${block.label}: ${block.link}`);

const htmlOf = (block: Block): string =>
  typeof block === 'string'
    ? `<p>${escapeHtml(block)}</p>`
    : `<p><a href="${escapeHtml(block.link)}">${escapeHtml(block.label)}</a></p>`;

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

const escapeHtml = (text: string): string => text.replaceAll(/[&<>"']/g, (sign) => ENTITIES[sign] ?? sign);
