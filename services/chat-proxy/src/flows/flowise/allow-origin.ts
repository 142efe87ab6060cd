import { ChatflowId } from '@tollgate/contracts';
import type { FlowOrigins } from '../../ports.ts';

/** Paths of chat windows that name their chatflow. */
const WITH_CHATFLOW =
  /^\/api\/v1\/(?:prediction|chatflows-streaming|public-chatbotConfig|chatmessage\/abort|chatmessage|attachments|vector\/upsert)\/([^/]+)/;
/** Those whose body or query does, or a rating. */
const OTHERS = /^\/api\/v1\/(?:feedback\/[^/]+|leads\/?|get-upload-file|text-to-speech\/(?:generate|abort))$/;
const LONGEST_ORIGIN = 300;

/** Which pages may call the routes of chat windows: those that the chatflow's administrator has listed. */
export const createAllowOrigin = (origins: FlowOrigins) =>
  async function allowOrigin(origin: string, path: string): Promise<boolean> {
    if (origin.length > LONGEST_ORIGIN) return false;
    const [, name] = WITH_CHATFLOW.exec(path) ?? [];
    const id = ChatflowId.safeParse(name && decodeURIComponent(name));
    try {
      if (id.success) return await origins.allows(id.data, origin);
      return OTHERS.test(path) && (await origins.isKnown(origin));
    } catch {
      // A page that cannot be looked up now is told what one that is not listed is told.
      return false;
    }
  };
