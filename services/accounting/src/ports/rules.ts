/** What the operator has decided. */
export type Rules = Readonly<{
  /** The workspace that everybody belongs to; tokens without one mean it. */
  defaultWorkspaceId: string;
  leaseSeconds: number;
  sessionLeaseSeconds: number;
  overrunPolicy: 'absorb' | 'debt';
  supervisorCap: number;
  allocateOpensAccounts: boolean;
  keyRetentionSeconds: number;
}>;
