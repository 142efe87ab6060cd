/** The seed of this run, and how much of it there is: FUZZ_SEED and FUZZ_RUNS repeat one that has found something. */
export function fuzzSettings(runs: number): { seed: number; runs: number } {
  const seed = Number(process.env['FUZZ_SEED'] ?? 1);
  return { seed, runs: Number(process.env['FUZZ_RUNS'] ?? runs) };
}
