import type { UserId } from '@tollgate/contracts';
import type { Ports } from '../../ports.ts';

/** What a browser keeps after a whole login; it stays the same device as long as the same user logs in. */
export const createTrustDevice = ({ clock, devices, secrets }: Pick<Ports, 'clock' | 'devices' | 'secrets'>) =>
  function trustDevice(userId: UserId, deviceToken: string | undefined): string {
    const now = clock.now();
    const known = devices.read(deviceToken, now);
    return devices.sign({ userId, id: known?.userId === userId ? known.id : secrets.uuid() }, now);
  };
