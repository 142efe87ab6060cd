import type { auth, ServiceName } from '@tollgate/contracts';
import { AppError } from '@tollgate/http-kit';
import type { Ports } from '../../ports.ts';

/** What each service may put down. */
const MAY_REPORT: Readonly<Record<ServiceName, readonly auth.AuditReport['action'][]>> = {
  auth: ['access.refused'],
  'chat-proxy': ['access.refused'],
  accounting: ['access.refused', 'credits.adjusted', 'export.made'],
};

/** Puts down what happened in a service. All or nothing is refused; what is sent again is put down once. */
export const createTakeReports = ({ events }: Pick<Ports, 'events'>) =>
  async function takeReports(service: ServiceName, reports: readonly auth.AuditReport[]): Promise<void> {
    if (reports.some(({ action }) => !MAY_REPORT[service].includes(action))) throw new AppError('FORBIDDEN');
    await Promise.all(
      reports.map((report) => {
        const { ip = '', userAgent = '', requestId = '', ...event } = report;
        return events.recordReport({ ...event, service, origin: { ip, userAgent, requestId } });
      }),
    );
  };
