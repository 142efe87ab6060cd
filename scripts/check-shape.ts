// What a linter cannot see: sizes of files and folders, names, places, and what must never be committed.
import { lockfileHasNoUrls, noMachinePaths, noRegistryHosts } from './house-rules/leaks.ts';
import {
  domainDoesNotWait,
  filesAreShort,
  foldersAreSmall,
  namesSaySomething,
  noFolderIsEmpty,
  oneDriverPerFile,
  servicesHaveFiveLayers,
  timeIsInjected,
} from './house-rules/shape.ts';
import { readTree, type Rule } from './house-rules/source-tree.ts';

const RULES: readonly Rule[] = [
  filesAreShort,
  foldersAreSmall,
  noFolderIsEmpty,
  namesSaySomething,
  servicesHaveFiveLayers,
  oneDriverPerFile,
  timeIsInjected,
  domainDoesNotWait,
  noMachinePaths,
  noRegistryHosts,
  lockfileHasNoUrls,
];

const tree = readTree('.');
const violations = RULES.flatMap((rule) => rule(tree));
for (const violation of violations) process.stdout.write(`${violation}\n`);
process.stdout.write(`${tree.files.length} files, ${violations.length} violations\n`);
process.exitCode = violations.length === 0 ? 0 : 1;
