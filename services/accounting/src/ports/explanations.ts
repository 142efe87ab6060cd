import type { TransactionRecord } from '../domain/transaction-record.ts';

export type Explanations = {
  /** What is stored about a transaction of one account, or of an answer that it asked for; with undefined about any. */
  find(transactionId: number, readerId: string | undefined): Promise<TransactionRecord | undefined>;
};
