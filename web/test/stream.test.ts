import assert from 'node:assert/strict';
import { afterEach, beforeEach, mock, test } from 'node:test';
import { backoff } from '../src/backoff.ts';
import type { ClientMessage, ServerMessage, Subscription } from '../src/protocol.ts';
import { Stream } from '../src/stream.ts';

/** Stands in for the browser's socket: the peer is the test. */
class FakeSocket {
  static all: FakeSocket[] = [];
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  sent: ClientMessage[] = [];

  constructor(readonly url: string) {
    FakeSocket.all.push(this);
  }
  send(text: string): void {
    this.sent.push(JSON.parse(text) as ClientMessage);
  }
  close(): void {}
  receive(message: ServerMessage): void {
    this.onmessage?.({ data: JSON.stringify(message) });
  }
  ops(): string[] {
    return this.sent.map((message) => message.op);
  }
}

const HELLO: ServerMessage = { op: 'hello', protocol: 'livetape.v1', ts: 0 };
const BTC: Subscription = { channels: ['sim:BTC-USD/trade'], delivery: 'every' };
const ETH: Subscription = { channels: ['sim:ETH-USD/trade'], delivery: 'every' };

function seconds(count: number): void {
  for (let i = 0; i < count; i++) mock.timers.tick(1000);
}

let states: string[];
let roundTrips: number[];
let stream: Stream;
const socket = (): FakeSocket => FakeSocket.all.at(-1)!;

beforeEach(() => {
  mock.timers.enable({ apis: ['setTimeout', 'setInterval', 'Date'] });
  mock.method(Math, 'random', () => 1);
  Object.assign(globalThis, { WebSocket: FakeSocket });
  FakeSocket.all = [];
  states = [];
  roundTrips = [];
  stream = new Stream('ws://here/v1/stream', {
    message: () => {},
    connection: (state) => states.push(state),
    roundTrip: (ms) => roundTrips.push(ms),
  });
});

afterEach(() => {
  mock.timers.reset();
  mock.restoreAll();
});

test('back-off doubles from a quarter of a second to eight, with full jitter', () => {
  const longest = [0, 1, 2, 3, 4, 5, 6, 60].map((attempt) => backoff(attempt, () => 1));
  assert.deepEqual(longest, [250, 500, 1000, 2000, 4000, 8000, 8000, 8000]);
  assert.equal(
    backoff(5, () => 0),
    0,
  );
});

test('nothing is sent before hello, then the subscriptions are', () => {
  stream.subscribe([BTC]);
  stream.connect();
  assert.deepEqual(socket().sent, []);
  socket().receive(HELLO);
  assert.deepEqual(states, ['live']);
  assert.deepEqual(socket().ops(), ['subscribe', 'ping']);
});

test('a new choice replaces the old one', () => {
  stream.connect();
  stream.subscribe([BTC]);
  socket().receive(HELLO);
  socket().sent = [];
  stream.subscribe([ETH]);
  assert.deepEqual(
    socket().sent.map(({ op, ...rest }) => [op, 'channels' in rest && rest.channels[0]]),
    [
      ['unsubscribe', 'sim:BTC-USD/trade'],
      ['subscribe', 'sim:ETH-USD/trade'],
    ],
  );
});

test('a server that goes away is dialled again, ever more slowly, and subscribed again', () => {
  stream.subscribe([BTC]);
  stream.connect();
  socket().receive(HELLO);
  for (const wait of [250, 500, 1000, 2000]) {
    const dials = FakeSocket.all.length;
    socket().onclose?.();
    mock.timers.tick(wait - 1);
    assert.equal(FakeSocket.all.length, dials);
    mock.timers.tick(1);
    assert.equal(FakeSocket.all.length, dials + 1);
  }
  socket().receive(HELLO);
  assert.deepEqual(states, ['live', 'reconnecting', 'live']);
  assert.deepEqual(socket().ops(), ['subscribe', 'ping']);
  socket().onclose?.();
  mock.timers.tick(250);
  assert.equal(FakeSocket.all.length, 6, 'after a success the waits begin anew');
});

test('silence is stale after 3 s, dead after 10 s; any word ends it', () => {
  stream.connect();
  socket().receive(HELLO);
  seconds(4);
  assert.deepEqual(states, ['live', 'stale']);
  socket().receive({ op: 'batch', ts: 0, events: [] });
  assert.deepEqual(states, ['live', 'stale', 'live']);
  seconds(11);
  assert.deepEqual(states, ['live', 'stale', 'live', 'stale', 'reconnecting']);
});

test('a dial that is never answered is given up', () => {
  stream.connect();
  seconds(11);
  assert.deepEqual(states, ['reconnecting']);
  mock.timers.tick(250);
  assert.equal(FakeSocket.all.length, 2);
});

test('paused means silence is expected, also after a reconnect', () => {
  stream.connect();
  socket().receive(HELLO);
  stream.pause();
  seconds(60);
  assert.deepEqual(states, ['live']);
  socket().onclose?.();
  mock.timers.tick(250);
  socket().receive(HELLO);
  assert.deepEqual(socket().ops(), ['pause']);
  stream.resume();
  assert.deepEqual(socket().ops(), ['pause', 'resume', 'ping']);
});

test('connecting cuts a wait short and never opens two sockets', () => {
  stream.connect();
  stream.connect();
  assert.equal(FakeSocket.all.length, 1);
  socket().onclose?.();
  stream.connect();
  mock.timers.tick(10_000);
  assert.equal(FakeSocket.all.length, 2);
});

test('a pong tells the round trip of its own ping', () => {
  stream.connect();
  socket().receive(HELLO);
  const { id } = socket().sent[0]!;
  socket().receive({ op: 'pong', id, ts: 0 });
  socket().receive({ op: 'pong', id, ts: 0 });
  assert.equal(roundTrips.length, 1);
});
