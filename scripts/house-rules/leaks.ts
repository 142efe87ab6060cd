import { linesWith } from './shape.ts';
import type { Rule } from './source-tree.ts';

/** A path that exists on one machine only. */
const MACHINE_PATH =
  /(?<![\w.$}/-])\/(?:(?:home|Users)\/(?!node\b)[\w.-]+|(?:root|work|workspace|mnt)\/[\w.-]+)|\b[A-Z]:\\\w/;

/** A package registry, or a mirror of one: the machine that installs says where packages come from. */
const REGISTRY_HOST =
  /\b(?:registry\.[a-z0-9-]+(?:\.[a-z0-9-]+)+|[a-z0-9-]+\.registry\.[a-z.]+|(?:deb|ftp|security|snapshot)\.debian\.org|npmmirror\.com|npm\.pkg\.github\.com)\b|^\s*(?:[\w@/:-]*registry)\s*=\s*https?:/i;

const TEXT_OF_OTHERS = /^LICENSE$|\/assets\//;

export const noMachinePaths: Rule = ({ files }) =>
  files
    .filter(({ path }) => !TEXT_OF_OTHERS.test(path))
    .flatMap(({ path, text }) =>
      linesWith(MACHINE_PATH, text).map((line) => `${path}:${line}: names a path of one machine`),
    );

export const noRegistryHosts: Rule = ({ files }) =>
  files.flatMap(({ path, text }) =>
    linesWith(REGISTRY_HOST, text).map((line) => `${path}:${line}: names a package registry`),
  );

/** With URLs in it a lockfile installs from one registry only. */
export const lockfileHasNoUrls: Rule = ({ files }) =>
  files
    .filter(({ path }) => path === 'pnpm-lock.yaml')
    .flatMap(({ path, text }) =>
      linesWith(/\bhttps?:\/\/|\btarball:/, text).map((line) => `${path}:${line}: holds a URL`),
    );
