import { compare, hash } from 'bcryptjs';

/** Runs in a worker thread: bcrypt keeps a thread busy for hundreds of milliseconds. */
export const hashPassword = ({ prepared, cost }: { prepared: string; cost: number }): Promise<string> =>
  hash(prepared, cost);

export const comparePassword = ({ prepared, hashed }: { prepared: string; hashed: string }): Promise<boolean> =>
  compare(prepared, hashed);
