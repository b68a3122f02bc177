import type { WireRequest } from '@millrace/protocol'
import { describe, expect, it } from 'vitest'
import { ForwardedHeaders, limitKeyOf, type ProxyOptions } from './forwarded.ts'

function asked(client: string, headers: Readonly<Record<string, string>>): WireRequest {
  return {
    method: 'PUT',
    target: '/v1/stream/a',
    header: (name) => ({ host: 'inner:4437', ...headers })[name],
    scheme: 'http',
    client,
    readBody: () => 'aborted',
    onAborted: () => undefined,
  }
}

const trustedProxies = ['10.0.0.0/8', 'fd00::/8']
const both = (kind: ProxyOptions['forwardedHeaders']) =>
  new ForwardedHeaders({ trustedProxies, forwardedHeaders: kind })

describe('the client behind proxies', () => {
  it.each([
    ['nobody in between', '203.0.113.9', undefined, '203.0.113.9'],
    ['a peer that is not trusted', '203.0.113.9', '198.51.100.7', '203.0.113.9'],
    ['one proxy', '10.0.0.1', '198.51.100.7', '198.51.100.7'],
    ['one proxy, as an IPv6 socket sees it', '::ffff:10.0.0.1', '198.51.100.7', '198.51.100.7'],
    ['a proxy that says nothing', '10.0.0.1', undefined, '10.0.0.1'],
    ['two proxies', '10.0.0.1', '198.51.100.7, 10.0.0.2', '198.51.100.7'],
    ['a client that makes one up', '10.0.0.1', '127.0.0.1, 198.51.100.7', '198.51.100.7'],
    ['a client that makes a chain up', '10.0.0.1', '1.1.1.1, 10.9.9.9, 198.51.100.7', '198.51.100.7'],
    ['an address with a port', '10.0.0.1', '198.51.100.7:5123', '198.51.100.7'],
    ['an IPv6 client', 'fd00::1', '[2001:db8::7]:5123', '2001:db8::7'],
    ['an IPv6 client without brackets', 'fd00::1', '2001:db8::7', '2001:db8::7'],
    ['no address', '10.0.0.1', 'unknown', '10.0.0.1'],
    ['no address further out', '10.0.0.1', 'garbage, 10.0.0.2', '10.0.0.2'],
    ['empty elements', '10.0.0.1', ',,', '10.0.0.1'],
    ['more proxies than anybody has', '10.0.0.1', Array(5000).fill('10.0.0.2').join(), '10.0.0.2'],
  ])('x-forwarded: %s', (_, peer, value, client) => {
    const headers = value === undefined ? {} : { 'x-forwarded-for': value }
    expect(both('x-forwarded').clientOf(asked(peer, headers))).toBe(client)
    // The other kind of header is not looked at.
    expect(both('forwarded').clientOf(asked(peer, headers))).toBe(peer)
  })

  it.each([
    ['one proxy', '10.0.0.1', 'for=198.51.100.7', '198.51.100.7'],
    ['a peer that is not trusted', '203.0.113.9', 'for=198.51.100.7', '203.0.113.9'],
    ['quoted, with a port', '10.0.0.1', 'For="198.51.100.7:80"; proto=https', '198.51.100.7'],
    ['IPv6', 'fd00::1', 'for="[2001:db8::7]:80"', '2001:db8::7'],
    ['two proxies', '10.0.0.1', 'for=198.51.100.7;by=x, for=10.0.0.2', '198.51.100.7'],
    ['a client that makes one up', '10.0.0.1', 'for=127.0.0.1, for=198.51.100.7', '198.51.100.7'],
    ['a hidden client', '10.0.0.1', 'for=_secret', '10.0.0.1'],
    ['an unknown client', '10.0.0.1', 'for=unknown;proto=https', '10.0.0.1'],
    ['nonsense', '10.0.0.1', '=;=,"for=', '10.0.0.1'],
  ])('forwarded: %s', (_, peer, value, client) => {
    expect(both('forwarded').clientOf(asked(peer, { forwarded: value }))).toBe(client)
  })
})

describe('what the client asked for', () => {
  const https = { 'x-forwarded-for': '198.51.100.7', 'x-forwarded-proto': 'https' }

  it.each([
    ['scheme and host', '10.0.0.1', { ...https, 'x-forwarded-host': 'a.example' }, 'https://a.example'],
    ['scheme only', '10.0.0.1', https, 'https://inner:4437'],
    [
      'said by nobody who is trusted',
      '203.0.113.9',
      { ...https, 'x-forwarded-host': 'a.example' },
      undefined,
    ],
    ['a scheme that is none', '10.0.0.1', { ...https, 'x-forwarded-proto': 'javascript' }, undefined],
    ['a host that is none', '10.0.0.1', { ...https, 'x-forwarded-host': 'a"><b' }, undefined],
    ['nothing', '10.0.0.1', {}, undefined],
    [
      'of two, the one that our proxy added',
      '10.0.0.1',
      { ...https, 'x-forwarded-host': 'evil.example, a.example' },
      'https://a.example',
    ],
  ])('x-forwarded: %s', (_, peer, headers, origin) => {
    expect(both('x-forwarded').originOf(asked(peer, headers))).toBe(origin)
  })

  it('forwarded: scheme and host', () => {
    const forwarded = 'for=198.51.100.7;proto=https;host="a.example:8443"'
    expect(both('forwarded').originOf(asked('10.0.0.1', { forwarded }))).toBe('https://a.example:8443')
  })
})

describe('what a limit counts by', () => {
  it.each([
    ['198.51.100.7', '198.51.100.7'],
    ['::ffff:198.51.100.7', '198.51.100.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    [undefined, 'unknown'],
  ])('%s is %s', (address, key) => {
    expect(limitKeyOf(address)).toBe(key)
  })
})

it.each([[[]], [['example.com']], [['10.0.0.0/33']], [['10.0.0.0/8/8']]])(
  'refuses %j as proxies',
  (proxies) => {
    expect(() => new ForwardedHeaders({ trustedProxies: proxies, forwardedHeaders: 'forwarded' })).toThrow(
      RangeError,
    )
  },
)
