import type { Ports } from '../ports.ts';

export type MailDepth = Readonly<{ waiting: number; oldestSeconds: number }>;

const MILLISECONDS = 1000;

/** Counts the mails that wait to be sent, for those who watch. */
export const createMeasureMail = (
  { mailQueue, clock }: Pick<Ports, 'mailQueue' | 'clock'>,
  tell: (depth: MailDepth) => void,
) =>
  async function measureMail(): Promise<void> {
    const { waiting, oldest } = await mailQueue.depth();
    const oldestSeconds = oldest ? Math.max(0, clock.now() - oldest.getTime()) / MILLISECONDS : 0;
    tell({ waiting, oldestSeconds });
  };
