import { nextTry } from '../../domain/retry.ts';
import type { Channel, Delivery, Ports } from '../../ports.ts';

type Deps = Pick<Ports, 'outbox' | 'events' | 'deliveryPace' | 'channels' | 'random'>;

const ROUTED_AT_ONCE = 100;
/** They run side by side, each within its own time limit, which is well within the lease. */
const DELIVERED_AT_ONCE = 10;

/** Gives new events their deliveries and tells how much waits. True when there may be more. */
export const createRouteEvents = ({ outbox, events, channels }: Deps) =>
  async function routeEvents(): Promise<boolean> {
    const routed = await outbox.route(
      channels.flatMap(({ destinations }) => destinations),
      ROUTED_AT_ONCE,
    );
    events.outboxDepth(await outbox.depth());
    return routed === ROUTED_AT_ONCE;
  };

/** Delivers what is due on one channel. Channels do not wait for each other. True when there may be more. */
export const createDeliverEvents = (deps: Deps) =>
  async function deliverEvents(channel: Channel): Promise<boolean> {
    const due = await deps.outbox.lease(channel, DELIVERED_AT_ONCE, deps.deliveryPace.leaseSeconds);
    await Promise.all(due.map((delivery) => deliver(deps, channel, delivery)));
    return due.length === DELIVERED_AT_ONCE;
  };

async function deliver(deps: Deps, channel: Channel, delivery: Delivery): Promise<void> {
  const { outbox, events, deliveryPace, random } = deps;
  const { kind, event, attempts } = delivery;
  const result = await channel.deliver(delivery);
  if (result.outcome === 'delivered') {
    if (await outbox.delivered(delivery)) events.eventDelivered({ kind, type: event.type, attempts });
    return;
  }
  const pause = result.outcome === 'stop' ? undefined : nextTry({ ...delivery, ...result }, deliveryPace, random());
  if (pause !== undefined) return outbox.retryAfter(delivery, pause, result.error);
  if (await outbox.giveUp(delivery, result.error)) {
    const { eventId, destination } = delivery;
    events.eventGivenUp({ kind, type: event.type, eventId, destination, attempts, error: result.error });
  }
}

const FORGOTTEN_AT_ONCE = 1000;

/** Gives up what is meant for nobody any more and forgets old events. True when there may be more. */
export const createTidyOutbox = ({ outbox, events, deliveryPace }: Deps) =>
  async function tidyOutbox(): Promise<boolean> {
    const orphans = await outbox.giveUpOrphans(deliveryPace.giveUpSeconds);
    if (orphans > 0) events.deliveriesOrphaned({ deliveries: orphans });
    const forgotten = await outbox.forget(deliveryPace.retentionSeconds, FORGOTTEN_AT_ONCE);
    return forgotten === FORGOTTEN_AT_ONCE;
  };
