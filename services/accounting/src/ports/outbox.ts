import type { accounting } from '@tollgate/contracts';

/** What an event is delivered through, and to whom. A name never holds a secret: it is stored and logged. */
export type Destination = Readonly<{
  kind: 'webhook' | 'mail';
  name: string;
  /** Which events go there. */
  types: readonly accounting.OutboxEventType[];
}>;

/** One delivery that this process alone may try until its lease ends. */
export type Delivery = Readonly<{
  eventId: string;
  kind: Destination['kind'];
  destination: string;
  leaseId: string;
  /** This try included, and those of processes that died over it. */
  attempts: number;
  /** How long the event has been waiting. */
  ageSeconds: number;
  event: accounting.OutboxEvent;
  /** Of the account that the event concerns, as it is now. */
  owner: Readonly<{ username: string | null; email: string | null }>;
}>;

/** `stop`: no further try can succeed. `retry`: another one may, not before `afterSeconds` when the receiver said so. */
export type DeliveryResult =
  | Readonly<{ outcome: 'delivered' }>
  | Readonly<{ outcome: 'stop'; error: string }>
  | Readonly<{ outcome: 'retry'; error: string; afterSeconds?: number }>;

/** Never throws; an error is a result. The text of an error holds neither a secret nor anything the receiver said. */
export type Channel = Readonly<{
  kind: Destination['kind'];
  destinations: readonly Destination[];
  deliver(delivery: Delivery): Promise<DeliveryResult>;
}>;

export type OutboxDepth = Readonly<{ waiting: number; oldestSeconds: number }>;

/** Events and their deliveries. Every instance may work on them at once. */
export type Outbox = {
  /** Gives events that have none their deliveries; the number of events. */
  route(destinations: readonly Destination[], limit: number): Promise<number>;
  /** Takes deliveries that are due, for `leaseSeconds`. */
  lease(channel: Pick<Channel, 'kind' | 'destinations'>, limit: number, leaseSeconds: number): Promise<Delivery[]>;
  /** True when this call marked it. What was delivered stays so, whoever holds the lease. */
  delivered(delivery: Delivery): Promise<boolean>;
  /** Without effect when another process has taken the delivery over. */
  retryAfter(delivery: Delivery, seconds: number, error: string): Promise<void>;
  giveUp(delivery: Delivery, error: string): Promise<boolean>;
  depth(): Promise<OutboxDepth>;
  /** Gives up what waited longer than `giveUpSeconds` because nobody takes it any more; the number given up. */
  giveUpOrphans(giveUpSeconds: number): Promise<number>;
  /** Forgets events that are through, older than so many seconds; the number forgotten. */
  forget(seconds: number, limit: number): Promise<number>;
};

export type ChangeTenant = Readonly<{
  timeZone?: string | undefined;
  alertPercentages?: number[] | undefined;
  alertCredits?: number[] | undefined;
  actor: string;
  requestId: string;
}>;

/** What an installation decides for everybody in it. */
export type Tenants = {
  read(): Promise<accounting.TenantSettings>;
  change(change: ChangeTenant): Promise<accounting.TenantSettings | 'unknown_zone'>;
  /** Brings accounts to the present thresholds; the number of accounts. */
  rearmAlerts(limit: number): Promise<number>;
};

export type DeliveryPace = Readonly<{
  leaseSeconds: number;
  firstRetrySeconds: number;
  longestRetrySeconds: number;
  /** An event is tried for so long, then given up. */
  giveUpSeconds: number;
  retentionSeconds: number;
}>;
