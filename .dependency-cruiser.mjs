// Who may import whom: docs/architecture.md, as rules. tests/architecture.test.ts shows that each of them can fail.

const IN = (...folders) => `^services/[^/]+/src/(${folders.join('|')})`;
/** The same service as the importing file: `$1` is the service's name in `from`. */
const FROM = (...folders) => `^services/([^/]+)/src/(${folders.join('|')})`;
const OWN = (...folders) => `^services/$1/src/(${folders.join('|')})`;
const PACKAGE = (...names) => `^packages/(${names.join('|')})/`;

const FRAMEWORKS = '(^|/)node_modules/(express|fastify|@fastify/(?!busboy/)[^/]+|helmet|cors)/';
const DRIVERS =
  '(^|/)(node_modules/(mongoose|mongodb|sequelize|pg|umzug|undici|nodemailer|eventsource-parser|rate-limiter-flexible|piscina|bcryptjs)|packages/(mongo-kit|mail))/';
/** Parts of Node that only compute. Everything else of it waits, reads a clock or talks to somebody. */
const NODE_THAT_WAITS = '^(?!(node:)?(crypto|buffer|net|util)$)';

/** What jwt-claims has for services of others, on subpaths of their own. */
const GUARDS = '^packages/jwt-claims/src/(express|fastify)\\.ts$';

const forbid = (name, comment, from, to) => ({ name, comment, severity: 'error', from, to });
/** Whatever is not on the list is forbidden. */
const only = (name, comment, from, allowed) => [
  forbid(name, comment, { path: from }, { pathNot: allowed, dependencyTypesNot: ['core'] }),
  forbid(`${name}-node`, comment, { path: from }, { path: NODE_THAT_WAITS, dependencyTypes: ['core'] }),
];

const layers = [
  ...only('domain', 'domain decides: it knows the contract types and itself', FROM('domain/'), [
    OWN('domain/'),
    PACKAGE('contracts'),
    // What a public address is, which clients judge with as well.
    '^packages/http-kit/(src|dist)/outbound/public-address\\.',
  ]),
  forbid(
    'ports-are-types',
    'ports describe what flows need; a value would be an implementation',
    { path: FROM('ports\\.ts$', 'ports/') },
    { dependencyTypesNot: ['type-only'] },
  ),
  ...only('ports', 'ports speak in domain and contract types', FROM('ports\\.ts$', 'ports/'), [
    OWN('domain/', 'ports'),
    PACKAGE('contracts', 'http-kit'),
  ]),
  ...only('flows', 'flows tell the story; details are behind ports', FROM('flows/'), [
    OWN('flows/', 'domain/', 'ports'),
    PACKAGE('contracts'),
    '^packages/http-kit/(src|dist)/(index|app-error|caller|route)\\.',
  ]),
  forbid(
    'store',
    'a store knows its database, the domain and the port it fills',
    { path: FROM('store/') },
    { path: [IN('flows/', 'routes/', 'clients/', 'app\\.ts', 'deps', 'main\\.ts', 'config'), FRAMEWORKS] },
  ),
  forbid(
    'clients',
    'a client knows its neighbour, the domain and the port it fills',
    { path: FROM('clients/') },
    { path: [IN('flows/', 'routes/', 'store/', 'app\\.ts', 'deps', 'main\\.ts', 'config'), FRAMEWORKS] },
  ),
  forbid(
    'routes',
    'a route translates between HTTP and a flow',
    { path: FROM('routes/') },
    { path: [IN('store/', 'clients/', 'app\\.ts', 'main\\.ts', 'config'), FRAMEWORKS, DRIVERS] },
  ),
  forbid(
    'routes-take-flows-as-types',
    'deps.ts hands the flows to the routes',
    { path: FROM('routes/') },
    { path: IN('flows/', 'flows\\.ts', 'deps', 'ports'), dependencyTypesNot: ['type-only'] },
  ),
  forbid(
    'app',
    'app.ts mounts routes on a framework',
    { path: FROM('app\\.ts$') },
    { path: [IN('store/', 'clients/', 'flows/', 'main\\.ts'), DRIVERS] },
  ),
  forbid(
    'app-takes-dependencies-as-types',
    'main.ts builds the dependencies and hands them to app.ts',
    { path: FROM('app\\.ts$') },
    { path: IN('deps', 'flows\\.ts', 'config'), dependencyTypesNot: ['type-only'] },
  ),
  forbid(
    'main',
    'main.ts reads the configuration, builds, starts and stops',
    { path: FROM('main\\.ts$') },
    { path: [IN('routes/', 'flows', 'domain/', 'store/', 'clients/', 'ports'), FRAMEWORKS, DRIVERS] },
  ),
  ...only(
    'config',
    'config.ts reads the environment and nothing else',
    FROM('config\\.ts$', '[a-z]+-config\\.ts$', 'config/'),
    [
      PACKAGE('config', 'contracts', 'jwt-claims', 'telemetry'),
      OWN('[a-z]+-config\\.ts$', 'config/', 'domain/', 'ports'),
      '(^|/)node_modules/zod/',
    ],
  ),
];

const packages = [
  forbid(
    'services-are-strangers',
    'services talk HTTP through contracts',
    { path: '^services/([^/]+)/' },
    { path: '^services/', pathNot: '^services/$1/' },
  ),
  forbid('packages-below-services', 'a package serves every service', { path: '^packages/' }, { path: '^services/' }),
  forbid(
    'contracts-lowest',
    'contracts is zod only, without I/O',
    { path: '^packages/contracts/src/' },
    { pathNot: ['^packages/contracts/', '(^|/)node_modules/zod/'] },
  ),
  forbid(
    'jwt-claims-without-framework',
    'jwt-claims builds on contracts alone',
    { path: '^packages/jwt-claims/src/', pathNot: GUARDS },
    { path: ['^packages/(?!jwt-claims/|contracts/)', FRAMEWORKS, DRIVERS] },
  ),
  forbid(
    'guards-take-frameworks-as-types',
    'whoever imports a guard brings the framework',
    { path: GUARDS },
    { path: ['^packages/(?!jwt-claims/|contracts/)', FRAMEWORKS, DRIVERS], dependencyTypesNot: ['type-only'] },
  ),
  forbid(
    'packages-that-stand-alone',
    'config, telemetry, mail, mongo-kit and dev-databases know no other package',
    { path: '^packages/(config|telemetry|mail|mongo-kit|dev-databases)/src/' },
    { path: '^packages/', pathNot: '^packages/$1/' },
  ),
  forbid(
    'http-kit-builds-on',
    'http-kit builds on contracts, jwt-claims and telemetry',
    { path: '^packages/http-kit/src/' },
    { path: '^packages/(?!http-kit/|contracts/|jwt-claims/|telemetry/)' },
  ),
  forbid(
    'frameworks-on-subpaths',
    'whoever imports http-kit gets no framework; http-kit/express and http-kit/fastify bring one',
    { path: '^packages/http-kit/src/(index|client|openapi)\\.ts$' },
    { path: '(^|/)node_modules/(express|fastify|@fastify/(?!busboy/)[^/]+)/', reachable: true },
  ),
  forbid(
    'tools-stay-outside',
    'test-kit and dev-databases serve tests and scripts, never a service',
    { path: '^(services|packages)/[^/]+/src/', pathNot: '^packages/(test-kit|dev-databases)/' },
    { path: '^packages/(test-kit|dev-databases)/' },
  ),
  forbid(
    'few-may-sign',
    'auth signs user tokens; a service signs its own service tokens in one file',
    {
      path: '^(services|packages)/[^/]+/src/',
      pathNot: [
        '^services/auth/src/(clients/|deps\\.ts|config\\.ts)',
        '^services/[^/]+/src/clients/service-token',
        '^packages/(jwt-claims|test-kit)/',
      ],
    },
    { path: '^packages/jwt-claims/(src|dist)/sign\\.' },
  ),
];

const graph = [
  forbid('no-cycles', 'two files that need each other are one file', {}, { circular: true }),
  forbid('resolvable', 'an import names something that exists', {}, { couldNotResolve: true }),
  forbid(
    'declared',
    'what is imported stands in the package.json beside it',
    { path: '^(packages|services)/[^/]+/src/' },
    // A package under test stands among the development dependencies too, when it is the user who brings it.
    { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'], dependencyTypesNot: ['npm-peer'] },
  ),
];

export default {
  forbidden: [...layers, ...packages, ...graph],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)(dist|coverage|\\.tollgate)/' },
    // 'specify' keeps `import type` apart from `import`, which the rules about types need.
    tsPreCompilationDeps: 'specify',
    // The private TypeScript of dependency-cruiser reads the sources; packages resolve to theirs, as in development.
    enhancedResolveOptions: {
      conditionNames: ['tollgate', 'import', 'node', 'default'],
      exportsFields: ['exports'],
      extensions: ['.ts', '.mjs', '.js', '.json'],
    },
  },
};
