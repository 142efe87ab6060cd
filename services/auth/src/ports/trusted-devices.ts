import type { UserId } from '@tollgate/contracts';

/** A browser from which somebody has logged in before; it proves nothing but that. */
export type TrustedDevice = Readonly<{ id: string; userId: UserId }>;

export type TrustedDevices = {
  /** A token for the browser to keep. */
  sign(device: TrustedDevice, now: number): string;
  /** Undefined for everything but a token of ours that has not expired. */
  read(token: string | undefined, now: number): TrustedDevice | undefined;
};
