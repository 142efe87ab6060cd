export { type Block, type Letter, renderLetter } from './letter.ts';
export { createMailer, isPlainAddress, type Mailer, type MailerOptions } from './mailer.ts';
