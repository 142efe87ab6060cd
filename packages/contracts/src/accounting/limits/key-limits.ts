import { z } from 'zod';
import { ApiKeyId, KeyLimits } from '../../api-keys.ts';
import { operation } from '../../operation.ts';

const Revision = z.int().min(0);

export const setKeyLimits = operation({
  id: 'setKeyLimits',
  method: 'PUT',
  path: '/api/internal/keys/:keyId/limits',
  summary: 'Replace what bounds an API key, as a whole; a call with an older revision than the newest changes nothing',
  permission: 'internal:key-limits',
  params: z.strictObject({ keyId: ApiKeyId }),
  body: z.strictObject({
    /** Grows with every change of the key's limits, so that a call that comes late does not win. */
    revision: Revision,
    limits: KeyLimits,
  }),
  result: z.object({ keyId: ApiKeyId, revision: Revision, limits: KeyLimits }),
  errors: ['CONFLICT'],
});
