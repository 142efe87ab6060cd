import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { baseUrl, bool, databaseUrl, duration, durationMs, list, parseDuration, port, whole } from '../src/index.ts';

describe('durations', () => {
  it.each([
    ['15m', 900_000],
    ['12h', 43_200_000],
    ['7d', 604_800_000],
    ['30s', 30_000],
    ['2w', 1_209_600_000],
    ['500ms', 500],
    ['900', 900_000],
    ['0', 0],
  ])('reads %s as %d ms', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it('reads every amount of hours as 60 times the same amount of minutes', () => {
    fc.assert(
      fc.property(fc.nat(999_999_999), (amount) => {
        expect(parseDuration(`${amount}h`)).toBe(60 * parseDuration(`${amount}m`));
        expect(parseDuration(`${amount}`)).toBe(parseDuration(`${amount}s`));
      }),
    );
  });

  it.each([
    '',
    'm',
    '15 m',
    '15M',
    '1.5h',
    '-1s',
    '+1s',
    '1e3',
    '15min',
    '1h30m',
    '0x10',
    '1234567890',
    '١٥m',
    '15m\n',
  ])('refuses %p rather than guess', (text) => {
    expect(() => parseDuration(text)).toThrow(RangeError);
  });

  it('gives seconds or milliseconds as the variable says, within its bounds', () => {
    expect(duration().parse('12h')).toBe(43_200);
    expect(durationMs().parse('1500ms')).toBe(1500);
    expect(duration().safeParse('1500ms').success).toBe(false);
    expect(duration({ min: '1m' }).safeParse('59s').error?.issues[0]?.message).toBe('must be at least 1m');
    expect(duration({ max: '15m' }).safeParse('901').error?.issues[0]?.message).toBe('must be at most 15m');
  });
});

describe('other variables', () => {
  it.each([
    ['http://auth:3000', 'http://auth:3000'],
    ['http://auth:3000/', 'http://auth:3000'],
    ['http://auth:3000/api', 'http://auth:3000'],
    ['http://auth:3000/api/', 'http://auth:3000'],
    ['https://HOST.example.test/auth/api//', 'https://host.example.test/auth'],
    ['https://host.example.test/apis', 'https://host.example.test/apis'],
    ['http://host/api/v1', 'http://host/api/v1'],
    ['http://[::1]:8000/api', 'http://[::1]:8000'],
  ])('reads the base URL %s as %s', (text, expected) => {
    expect(baseUrl().parse(text)).toBe(expected);
  });

  it.each([
    'auth:3000',
    'ftp://a',
    'http://',
    '//host',
    'http://u:p@host',
    'http://host/?x=1',
    'http://host/#a',
    'file:///x',
  ])('refuses the base URL %s', (text) => {
    expect(baseUrl().safeParse(text).success).toBe(false);
  });

  it('reads ports and whole numbers in plain decimal only', () => {
    expect(['0', '3000', '65535'].map((text) => port().parse(text))).toEqual([0, 3000, 65_535]);
    for (const text of ['65536', '-1', '80.5', '1e3', '0x50', ' 80', '80 ', 'http']) {
      expect(port().safeParse(text).success).toBe(false);
    }
    expect(whole({ min: -5, max: 5 }).parse('-5')).toBe(-5);
    expect(whole({ min: 1 }).safeParse('0').error?.issues[0]?.message).toBe('must be a whole number from 1');
    expect(whole().safeParse('9007199254740993').success).toBe(false);
  });

  it('reads booleans by name and refuses what is neither', () => {
    expect(['true', '1', 'YES', 'on'].map((text) => bool().parse(text))).toEqual([true, true, true, true]);
    expect(['false', '0', 'no', 'Off'].map((text) => bool().parse(text))).toEqual([false, false, false, false]);
    expect(bool().safeParse('ture').success).toBe(false);
  });

  it('reads lists item by item', () => {
    const origins = list(baseUrl());
    expect(origins.parse(' http://a/ , http://b,,')).toEqual(['http://a', 'http://b']);
    expect(origins.safeParse('http://a,nonsense').success).toBe(false);
    expect(list(z.string()).safeParse(Array.from({ length: 101 }, () => 'x').join(',')).success).toBe(false);
  });

  it('keeps a database address, several hosts included, as a secret', () => {
    const text = 'mongodb://alice:pw@a:27017,b:27017/auth?replicaSet=rs0';
    const address = databaseUrl(['mongodb:', 'mongodb+srv:']).parse(text);
    expect(`${address}`).toBe('[secret]');
    expect(address.reveal()).toBe(text);
    expect(databaseUrl(['postgres:']).safeParse(text).error?.issues[0]?.message).toBe('must begin with postgres://');
  });
});
