import { randomBytes } from 'node:crypto';

const KID = 'k1';
const randomSecret = (): string => randomBytes(48).toString('base64url');

export const randomSecrets = () => ({
  access: randomSecret(),
  refresh: randomSecret(),
  service: randomSecret(),
  pepper: randomSecret(),
  tokenHash: randomSecret(),
  mfaEncryption: randomSecret(),
  ledgerSigning: randomSecret(),
  auditChain: randomSecret(),
  auditAnchor: randomSecret(),
});

/** Test tokens carry a key id, and services must know the secret under it. */
export const namedSecrets = ({ access, refresh, service }: ReturnType<typeof randomSecrets>) => ({
  access: `${KID}:${access}`,
  refresh: `${KID}:${refresh}`,
  service: `${KID}:${service}`,
});
