import type { ErrorCode } from '@tollgate/contracts';
import type { AppError } from '../app-error.ts';
import { requestContext } from '../request-context.ts';

/** Somebody proven was not allowed something. The operation is named by its id: a path may hold anything. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly operation: string;
  readonly userId?: string;
  readonly service?: string;
  readonly workspaceId?: string;
  readonly requestId: string;
  readonly ip: string;
  readonly userAgent: string;
}

const FORBIDDEN_STATUS = 403;
/** A valid token whose user, session or key is over. */
const OVER: ReadonlySet<ErrorCode> = new Set(['INVALID_TOKEN', 'ACCESS_REVOKED']);
/** 403s that tell somebody who may do it what has to be done before. */
const STEPS: ReadonlySet<ErrorCode> = new Set([
  'STEP_UP_REQUIRED',
  'MFA_ENROLMENT_REQUIRED',
  'LAST_ADMIN',
  'LAST_OWNER',
]);
const USER_AGENT_LENGTH = 512;

const isRefusal = ({ code, status }: AppError): boolean =>
  (status === FORBIDDEN_STATUS && !STEPS.has(code)) || OVER.has(code);

/** The refusal that an error is, if it is one. A token that proves nobody accuses nobody. */
export function refusalOf(
  error: AppError,
  { operation, ip, userAgent }: { operation: string; ip: string | undefined; userAgent: unknown },
): Refusal | undefined {
  const ids = requestContext.get();
  if ((ids?.userId ?? ids?.service) === undefined || !ids || !isRefusal(error)) return undefined;
  return {
    code: error.code,
    operation,
    ...(ids.userId !== undefined && { userId: ids.userId }),
    ...(ids.service !== undefined && { service: ids.service }),
    ...(ids.workspaceId !== undefined && { workspaceId: ids.workspaceId }),
    requestId: ids.requestId,
    ip: ip ?? '',
    userAgent: typeof userAgent === 'string' ? userAgent.slice(0, USER_AGENT_LENGTH) : '',
  };
}
