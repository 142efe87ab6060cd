import { basename } from 'node:path';
import { importsOf } from './imports.ts';
import { folderOf, lineCount, placeOf, type Rule } from './source-tree.ts';

const FILE_LINES = 300;
const FOLDER_FILES = 20;
/** The one file everybody reads. */
const CHAT_FLOW = { path: 'services/chat-proxy/src/flows/chat.ts', lines: 120 };
/** Documents that must stay short enough to be read. */
const DOCUMENT_LINES: readonly (readonly [RegExp, number])[] = [
  [/^README\.md$/, 150],
  [/^docs\/architecture\.md$/, 120],
  [/^docs\/adr\/.*\.md$/, 60],
];

const isCode = (path: string) => /\.(ts|mjs|sql|sh)$/.test(path) || /^scripts\/[\w-]+$/.test(path);

export const filesAreShort: Rule = ({ files }) =>
  files.flatMap(({ path, text }) => {
    const lines = lineCount(text);
    const documentLimit = DOCUMENT_LINES.find(([pattern]) => pattern.test(path))?.[1];
    const limit = documentLimit ?? (isCode(path) ? FILE_LINES : Infinity);
    return lines > limit ? [`${path}: has ${lines} lines, at most ${limit} are allowed`] : [];
  });

export const chatFlowFitsOnTwoPages: Rule = ({ files }) => {
  const chat = files.find(({ path }) => path === CHAT_FLOW.path);
  if (!chat) return [`${CHAT_FLOW.path}: is missing`];
  const lines = lineCount(chat.text);
  return lines > CHAT_FLOW.lines ? [`${chat.path}: has ${lines} lines, at most ${CHAT_FLOW.lines} are allowed`] : [];
};

/** Migrations and decisions are only ever added, and what lies at the root is where its tool looks for it. */
const MAY_GROW = /\/migrations$|^docs\/adr$|^\.$/;

export const foldersAreSmall: Rule = ({ files }) =>
  [...Map.groupBy(files, ({ path }) => folderOf(path))].flatMap(([folder, inside]) =>
    inside.length > FOLDER_FILES && !MAY_GROW.test(folder)
      ? [`${folder}: holds ${inside.length} files, at most ${FOLDER_FILES} are allowed`]
      : [],
  );

export const noFolderIsEmpty: Rule = ({ emptyFolders }) => emptyFolders.map((folder) => `${folder}: is empty`);

/** `common`, `shared` and `data` may stand before a noun, but are no name of their own. */
const VAGUE = /(^|[-_.])(utils?|helpers?|managers?|infos?)([-_.]|$)|^(common|shared|misc|data|lib)(\.\w+)*$/i;

export const namesSaySomething: Rule = ({ files }) => {
  const code = files.filter(({ path }) => /^(packages|services|scripts|tests)\//.test(path)).map(({ path }) => path);
  const folders = new Set(code.flatMap((path) => parentsOf(path)));
  const vague = [...folders, ...code].filter((path) => VAGUE.test(basename(path)));
  const unkempt = code.filter((path) => /\.(ts|mjs)$/.test(path) && !/^[a-z0-9-]+(\.[a-z-]+)*$/.test(basename(path)));
  return [
    ...vague.map((path) => `${path}: the name says nothing; name what it does`),
    ...unkempt.map((path) => `${path}: file names are lower case with dashes`),
  ];
};

const parentsOf = (path: string): string[] =>
  path.split('/').flatMap((_part, index, parts) => (index === 0 ? [] : [parts.slice(0, index).join('/')]));

const LAYERS = new Set(['routes', 'flows', 'ports', 'domain', 'store', 'clients']);
/** Where config.ts and deps.ts keep their parts when there are many. */
const PARTS = new Set(['config', 'deps']);
const TOP_FILE =
  /^(main|app|deps|flows|ports|config|events|migrate|seed|renew-secrets|[a-z]+-(app|config|deps|ports|main))\.ts$/;

/** Five layers and a few small files: whatever lies elsewhere has not found its place. */
export const servicesHaveFiveLayers: Rule = ({ files }) =>
  files.flatMap(({ path }) => {
    const layer = placeOf(path)?.layer;
    if (layer === undefined || LAYERS.has(layer) || PARTS.has(layer) || TOP_FILE.test(layer)) return [];
    return [`${path}: lies in no layer (${[...LAYERS].join(', ')})`];
  });

const DRIVERS =
  /^(mongoose|mongodb|@tollgate\/mongo-kit|sequelize|pg|umzug|undici|nodemailer|@tollgate\/mail|piscina|bcryptjs|rate-limiter-flexible|@tollgate\/http-kit\/client)$/;

const FAMILIES: readonly (readonly [RegExp, string])[] = [
  // sequelize and umzug are one driver in two packages, and both sit on pg.
  [/^(sequelize|umzug|pg)$/, 'postgres'],
  [/^(mongoose|mongodb|@tollgate\/mongo-kit)$/, 'mongo'],
];
const familyOf = (driver: string) => FAMILIES.find(([pattern]) => pattern.test(driver))?.[1] ?? driver;

export const oneDriverPerFile: Rule = ({ files }) =>
  files.flatMap((file) => {
    const layer = placeOf(file.path)?.layer;
    if (layer !== 'store' && layer !== 'clients') return [];
    const drivers = importsOf(file).filter(({ from, isType }) => !isType && DRIVERS.test(from));
    const families = new Set(drivers.map(({ from }) => familyOf(from)));
    return families.size > 1 ? [`${file.path}: imports ${[...families].join(' and ')}; one driver per file`] : [];
  });

const READS_TIME = /\bnew Date\(\)|\bDate\(\)|\bTemporal\.Now\b|\bprocess\.hrtime\b/;

/** What lint cannot say: it sees `Date.now`, not a Date made without an argument. */
export const timeIsInjected: Rule = ({ files }) =>
  files.flatMap(({ path, text }) => {
    const layer = placeOf(path)?.layer;
    if (layer !== 'flows' && layer !== 'domain') return [];
    return linesWith(READS_TIME, text).map((line) => `${path}:${line}: take the time from the injected clock`);
  });

export const domainDoesNotWait: Rule = ({ files }) =>
  files.flatMap(({ path, text }) =>
    placeOf(path)?.layer === 'domain'
      ? linesWith(/^[^/*]*\b(async|await)\b/, text).map((line) => `${path}:${line}: domain decides at once`)
      : [],
  );

/** Line numbers whose text matches, from 1. */
export const linesWith = (pattern: RegExp, text: string): number[] =>
  text.split('\n').flatMap((line, index) => (pattern.test(line) ? [index + 1] : []));
