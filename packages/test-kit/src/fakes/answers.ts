import type { CheckedScenario } from './scenario.ts';

export type Turn = { role: 'user' | 'assistant'; content: string };

/** What a fake model is asked: the directives are already taken out of the question. */
export type Ask = { question: string; history: readonly Turn[]; model: string };

/** Writes the text of an answer when the scenario does not. */
export type Answerer = (ask: Ask) => string;

const ECHO_LIMIT_WORDS = 24;
const RECALL = /\bwhat did i (say|ask|tell)\b/i;

/**
 * The default answerer. It repeats the first words of the question, so that a test knows each token beforehand;
 * "what did I say" lists the earlier questions instead, so that a test can see what the model remembers.
 */
export function echo({ question, history }: Ask): string {
  if (RECALL.test(question)) {
    const earlier = history.filter((turn) => turn.role === 'user').map((turn) => turn.content);
    return earlier.length > 0 ? `You told me: ${earlier.join(' | ')}` : 'You told me nothing yet';
  }
  return `Echo: ${splitWords(question).slice(0, ECHO_LIMIT_WORDS).join('').trim()}`;
}

/** Cuts a text into the tokens of the fake models: a word with the white space before it. Joined they give the text. */
export function splitWords(text: string): string[] {
  return text.match(/\s*\S+|\s+$/g) ?? [];
}

/** How many tokens the fake models count for a text. */
export function countTokens(text: string): number {
  return splitWords(text).length;
}

/** The tokens of an answer: those of the scenario, else those of the answerer. */
export function answerTokens(scenario: CheckedScenario, ask: Ask, answerer: Answerer): string[] {
  const { tokens, text } = scenario;
  return tokens === undefined ? splitWords(text ?? answerer(ask)) : listed(tokens, 't');
}

/** What the model thinks before it answers. */
export const reasoningTokens = ({ reasoning = [] }: CheckedScenario): string[] => listed(reasoning, 'r');

function listed(tokens: number | string[], letter: string): string[] {
  if (Array.isArray(tokens)) return tokens;
  return Array.from({ length: tokens }, (_, i) => `${i === 0 ? '' : ' '}${letter}${i + 1}`);
}
