import { describe, expect, it } from '@jest/globals';
import { isPublicUrl } from '../../src/domain/public-url.ts';

describe('a URL that a user names', () => {
  it.each([
    'https://example.com/image.png?size=2#top',
    'http://example.com.:8080/',
    'https://xn--bcher-kva.example.org/',
    'https://8.8.8.8/a.png',
    'https://[2606:4700::1111]/a.png',
    'https://example.com/Bücher/a@b.png?of=x:y',
    'HTTPS://EXAMPLE.COM',
  ])('may be %s', (url) => {
    expect(isPublicUrl(url)).toBe(true);
  });

  it.each([
    // schemes, credentials, ports, no URL at all
    ['file:///etc/passwd', 'ftp://example.com/', 'gopher://example.com/', 'data:text/html,x', 'javascript:alert(1)'],
    ['https://user:pw@example.com/', 'https://user@example.com/', 'https://example.com@127.0.0.1/'],
    ['http://example.com:22/', 'http://example.com:6379/', 'https://example.com:5432/'],
    ['', '/relative', 'example.com', '//example.com', 'https://', `https://example.com/${'x'.repeat(3000)}`],
    // what other parsers read as another host: Python takes the one behind the @
    [
      String.raw`https://example.com\@127.0.0.1/`,
      String.raw`https:\\example.com/`,
      'https:example.com',
      'https:/example.com',
    ],
    ['https://exa\tmple.com/', 'https://example.com/\n@127.0.0.1/', ' https://example.com/', 'https://example.com:/x'],
    ['https://bücher.example.org/', 'https://example.com:443:80/', 'https://example%2ecom/'],
    // loopback, private, link-local, metadata, reserved
    ['http://127.0.0.1/', 'http://10.1.2.3/', 'http://172.16.0.1/', 'http://192.168.1.1/', 'http://100.64.0.1/'],
    ['http://169.254.169.254/latest/meta-data', 'http://168.63.129.16/', 'http://0.0.0.0/', 'http://255.255.255.255/'],
    // the same in other spellings
    ['http://2130706433/', 'http://0x7f000001/', 'http://0x7f.1/', 'http://0177.0.0.1/', 'http://127.1/', 'http://0/'],
    ['http://①②⑦.⓪.⓪.①/', 'http://127。0。0。1/', 'http://%31%32%37.0.0.1/', 'http://127.0.0.1./'],
    // version 6: own, local, mapped, translated, tunnelled
    ['http://[::1]/', 'http://[::]/', 'http://[fe80::1]/', 'http://[fd00::1]/', 'http://[ff02::1]/'],
    [
      'http://[::ffff:127.0.0.1]/',
      'http://[::ffff:a9fe:a9fe]/',
      'http://[64:ff9b::7f00:1]/',
      'http://[2002:7f00:1::]/',
    ],
    ['http://[::127.0.0.1]/', 'http://[2001:db8::1]/', 'http://[2001::1]/'],
    // names that mean this machine or this network
    [
      'http://localhost/',
      'http://LOCALHOST./',
      'http://localhost../',
      'http://a.localhost/',
      'http://db/',
      'http://db./',
    ],
    ['http://metadata.google.internal/', 'http://printer.local/', 'http://router.lan/', 'http://x.home.arpa/'],
  ])('is refused: %s, %s and their like', (...urls) => {
    expect(urls.filter(isPublicUrl)).toEqual([]);
  });
});
