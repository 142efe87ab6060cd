// The plan of docs/scaling.md, "Past one replica set", for mongosh at a mongos. It has run nowhere.
// A unique index of a sharded collection must begin with its shard key; collections where it cannot stay whole, on the primary shard.
const chat = 'tollgate_chat';
const auth = 'tollgate_auth';
sh.enableSharding(chat);
sh.enableSharding(auth);
for (const [name, key] of Object.entries({
  sessions: { user_id: 1, _id: 1 },
  messages: { session_id: 'hashed' },
  message_feedback: { user_id: 1, request_id: 1 },
  files: { user_id: 1, _id: 1 },
  'file_bytes.files': { _id: 'hashed' },
  'file_bytes.chunks': { files_id: 1, n: 1 },
  answer_recordings: { _id: 'hashed' },
  answer_parts: { request_id: 'hashed' },
  open_holds: { _id: 'hashed' },
  idempotency_keys: { _id: 'hashed' },
})) {
  sh.shardCollection(`${chat}.${name}`, key);
}
for (const [name, key] of Object.entries({
  sessions: { _id: 'hashed' },
  audit_log: { chain: 1, seq: 1 },
  mailed_codes: { _id: 'hashed' },
})) {
  sh.shardCollection(`${auth}.${name}`, key);
}
