import pg from 'pg';

/**
 * A connection that breaks while nobody listens. Pools hand a new one over in a microtask; when the database says in the same
 * packet that it goes away, that is an event without a listener, which would end the process. The next statement says it as well.
 */
export class Connection extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on('error', () => undefined);
  }
}
