import { z } from 'zod';
import { RoleName, UserId, Username } from '../ids.ts';

/** A user name or an e-mail address. */
export const Identifier = z.string().trim().min(1).max(254);

const LONGEST_PASSWORD = 128;

/**
 * Up to 128 characters of any script, in well-formed Unicode. Only bounded here: what a new password must satisfy is
 * decided by the password rules of the auth service.
 */
export const Password = z
  .string()
  .min(1)
  .max(2 * LONGEST_PASSWORD)
  .refine((text) => text.isWellFormed() && [...text].length <= LONGEST_PASSWORD, {
    error: `must be at most ${LONGEST_PASSWORD} characters of well-formed text`,
  })
  .meta({ format: 'password' });

/** The name of a new account. One that looks like a user id could be taken for somebody else's id. */
export const NewUsername = Username.refine((name) => !/^[0-9a-f]{24,32}$/i.test(name), 'must not look like a user id');

/** A field that older clients send and that has no effect. */
export const Ignored = z.unknown().optional().meta({ deprecated: true, description: 'ignored' });

export const Message = z.object({ message: z.string() });

export const userParams = z.strictObject({ userId: UserId });
export const INVALID_USER_ID = 'Invalid user ID format';

/** What a user is told about their own account, and an administrator about any. */
export const AccountView = z.object({
  _id: UserId,
  username: z.string(),
  email: z.string(),
  isVerified: z.boolean(),
  role: RoleName,
  /** For administrators. */
  status: z.enum(['active', 'locked', 'disabled', 'deleted']).optional(),
  createdAt: z.string(),
  updatedAt: z.string(),
});
export type AccountView = z.infer<typeof AccountView>;
