import Bowser from 'bowser';

const LONGEST_NAME = 80;
const UNKNOWN = 'Unknown device';

/** A short name for what a client says it is: `Firefox on Linux`; for programs their own name, `curl`. */
export function deviceName(userAgent: string): string {
  const { browser, os } = userAgent === '' ? NOTHING : Bowser.parse(userAgent);
  const name = [browser.name || programOf(userAgent), os.name].filter(Boolean).join(' on ');
  return name.slice(0, LONGEST_NAME) || UNKNOWN;
}

const NOTHING = { browser: { name: '' }, os: { name: '' } };

/** RFC 9110, section 10.1.5: the most important product comes first. */
const programOf = (userAgent: string): string => /^[\w.-]{1,40}/.exec(userAgent)?.[0] ?? '';
