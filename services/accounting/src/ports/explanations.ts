import type { TransactionRecord } from '../domain/transaction-record.ts';

export type Explanations = {
  /** What is stored about a transaction of one account, or with undefined of any. */
  find(transactionId: number, ownerId: string | undefined): Promise<TransactionRecord | undefined>;
};
