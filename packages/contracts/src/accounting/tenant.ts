import { z } from 'zod';
import { Credits } from '../credits.ts';
import { operation } from '../operation.ts';

const MOST_THRESHOLDS = 10;

/** Shares of what an account had right after its last grant, in percent. */
const Percentages = z.array(z.int().min(0).max(99)).max(MOST_THRESHOLDS);
const Amounts = z.array(Credits.refine((credits) => credits > 0, 'must be above 0')).max(MOST_THRESHOLDS);

const isWithoutRepetition = (values: readonly number[]): boolean => new Set(values).size === values.length;

export const TenantSettings = z.object({
  /** IANA name; days, weeks and months of budgets begin at midnight there. */
  timeZone: z.string(),
  alertPercentages: Percentages,
  alertCredits: Amounts,
});
export type TenantSettings = z.infer<typeof TenantSettings>;

export const readTenant = operation({
  id: 'readTenant',
  method: 'GET',
  path: '/api/tenant',
  summary: 'What this installation decides for everybody: time zone and the thresholds of low-balance alerts',
  permission: 'tenant:administer',
  result: TenantSettings,
});

export const changeTenant = operation({
  id: 'changeTenant',
  method: 'PATCH',
  path: '/api/tenant',
  summary: 'Change what is named; an empty list of thresholds switches that kind of alert off',
  permission: 'tenant:administer',
  body: z
    .strictObject({
      timeZone: z
        .string()
        .max(64)
        .regex(/^[A-Za-z][\w+/-]*$/, 'must be the name of a time zone, such as Europe/Berlin')
        .optional(),
      alertPercentages: Percentages.refine(isWithoutRepetition, 'names a threshold twice').optional(),
      alertCredits: Amounts.refine(isWithoutRepetition, 'names a threshold twice').optional(),
    })
    .refine((body) => Object.values(body).some((value) => value !== undefined), 'names nothing to change'),
  result: TenantSettings,
  errors: ['INVALID_AMOUNT'],
});
