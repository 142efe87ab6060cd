import { reachableFrom } from './imports.ts';
import { placeOf, type Rule, type SourceFile } from './source-tree.ts';

/** A flow that deps.ts does not build, neither by itself nor through another flow, is dead. */
export const flowsAreBuilt: Rule = ({ files }) =>
  servicesOf(files).flatMap(([service, own]) => {
    const reached = reachableFrom(
      ['main.ts', 'deps.ts'].map((name) => `services/${service}/src/${name}`),
      own,
    );
    // A file that exports types alone does nothing, and nobody has to start it.
    const flows = own.filter(
      ({ path, text }) => placeOf(path)?.layer === 'flows' && /^export (?!type |interface )/m.test(text),
    );
    return flows
      .filter(({ path }) => !reached.has(path))
      .map(({ path }) => `${path}: deps.ts does not build this flow`);
  });

/** `signUp: createSignUp(deps),` or `const deliverMail = createDeliverMail(deps);` of a creator that lies in flows/. */
const BUILT = /(?:^\s+(\w+): |\bconst (\w+) = )(create\w+)\(/gm;
const BUILDS = /\/src\/((deps|flows|[a-z]+-deps)\.ts$|deps\/)/;

/** What deps.ts builds must be started by somebody: a route, a schedule, another flow or a command of the service. */
export const flowsAreStarted: Rule = ({ files }) =>
  servicesOf(files).flatMap(([, own]) => {
    const builders = own.filter(({ path }) => BUILDS.test(path));
    return builders.flatMap((builder) =>
      builtIn(builder)
        .filter(({ name, statement }) => !isUsed(name, { statement, builder, own }))
        .map(({ name }) => `${builder.path}: builds ${name}, and nothing starts it`),
    );
  });

/** What a file makes with the creators it imports from flows/. */
function builtIn({ text }: SourceFile): { name: string; statement: string }[] {
  const imports = [...text.matchAll(/^import \{([^}]*)\} from '\.{1,2}\/flows\//gm)];
  const creators = new Set(imports.flatMap(([, names = '']) => names.split(',').map((name) => name.trim())));
  const built = [...text.matchAll(BUILT)].filter(([, , , creator = '']) => creators.has(creator));
  return built.map(([statement, key, constant]) => ({ name: key ?? constant ?? '', statement }));
}

interface Surroundings {
  readonly statement: string;
  readonly builder: SourceFile;
  readonly own: readonly SourceFile[];
}

function isUsed(name: string, { statement, builder, own }: Surroundings): boolean {
  const word = new RegExp(`\\b${name}\\b`);
  if (word.test(builder.text.replace(statement, ''))) return true;
  const others = own.filter((file) => file !== builder && !file.path.endsWith('/ports.ts'));
  return others.some(({ path, text }) => placeOf(path)?.layer !== 'flows' && word.test(text));
}

function servicesOf(files: readonly SourceFile[]): [string, SourceFile[]][] {
  const groups = Map.groupBy(files, ({ path }) => placeOf(path)?.service);
  return [...groups].filter((group): group is [string, SourceFile[]] => group[0] !== undefined);
}
