import type { Scope } from '../domain/scope.ts';
import type { TransactionRecord } from '../domain/transaction-record.ts';

/** Whose transactions somebody may see beside their own: nobody's, everybody's, or those of one workspace. */
export type Reader = Readonly<{ userId: string; others: 'none' | 'all' | Scope }>;

export type Explanations = {
  /** What is stored about a transaction that the reader may see: of the own account, of an answer it asked for, or of others. */
  find(transactionId: number, reader: Reader): Promise<TransactionRecord | undefined>;
};
