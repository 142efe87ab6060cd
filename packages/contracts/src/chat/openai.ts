export * from './openai/completions.ts';
export * from './openai/embeddings.ts';
export * from './openai/messages.ts';
export * from './openai/models.ts';
