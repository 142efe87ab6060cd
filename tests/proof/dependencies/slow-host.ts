/** Nobody ever says where it is (RFC 6761, section 6.4). */
export const SLOW_HOST = 'slow.invalid';
