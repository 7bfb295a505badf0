/**
 * One socket that outlives the server: it dials again with back-off, subscribes again, and says how far the
 * connection may be believed. It knows nothing of the page; whoever owns it tells it when to pause.
 */

import { backoff } from './backoff.ts';
import type { ClientMessage, ServerMessage, Subscription } from './protocol.ts';

export type Connection = 'connecting' | 'live' | 'stale' | 'reconnecting';

const BEAT_MS = 1_000;
const STALE_MS = 3_000;
const DEAD_MS = 10_000;

export interface Listener {
  message(message: ServerMessage): void;
  connection(state: Connection): void;
  /** The time from ping to pong, in ms. */
  roundTrip(ms: number): void;
}

export class Stream {
  #socket: WebSocket | null = null;
  #subscriptions: Subscription[] = [];
  #connection: Connection = 'connecting';
  #attempt = 0;
  #lastId = 0;
  #heardAt = 0;
  #paused = false;
  #pings = new Map<number, number>();
  #beating: ReturnType<typeof setInterval> | undefined;
  #redial: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly url: string,
    readonly listener: Listener,
  ) {}

  /** Dial now, if there is no connection; also cuts a wait short. */
  connect(): void {
    if (this.#socket) return;
    clearTimeout(this.#redial);
    const socket = new WebSocket(this.url);
    socket.onmessage = (event: MessageEvent<string>) =>
      this.#receive(JSON.parse(event.data) as ServerMessage);
    socket.onclose = () => this.#lost();
    this.#socket = socket;
    this.#heardAt = Date.now();
    this.#beating = setInterval(() => this.#beat(), BEAT_MS);
  }

  /** Want these and only these, now and after every reconnect. */
  subscribe(subscriptions: Subscription[]): void {
    const old = this.#subscriptions.flatMap((subscription) => subscription.channels);
    this.#subscriptions = subscriptions;
    if (!this.#open) return;
    if (old.length) this.#send({ op: 'unsubscribe', id: this.#nextId(), channels: old });
    this.#sendSubscriptions();
  }

  /** Nobody is looking: ask for silence, and expect it. */
  pause(): void {
    this.#paused = true;
    if (this.#open) this.#send({ op: 'pause', id: this.#nextId() });
  }

  resume(): void {
    this.#paused = false;
    this.#heardAt = Date.now();
    if (this.#open) {
      this.#send({ op: 'resume', id: this.#nextId() });
      this.#ping();
    }
    this.connect();
  }

  /** True from hello to the end: before hello nothing may be sent. */
  get #open(): boolean {
    return this.#connection === 'live' || this.#connection === 'stale';
  }

  #receive(message: ServerMessage): void {
    this.#heardAt = Date.now();
    if (message.op === 'hello') this.#greeted();
    else if (message.op === 'pong') this.#measure(message.id);
    if (this.#connection === 'stale') this.#become('live');
    this.listener.message(message);
  }

  #greeted(): void {
    this.#attempt = 0;
    this.#become('live');
    this.#sendSubscriptions();
    if (this.#paused) this.#send({ op: 'pause', id: this.#nextId() });
    else this.#ping();
  }

  #beat(): void {
    if (this.#paused) return;
    const silence = Date.now() - this.#heardAt;
    if (silence > DEAD_MS) {
      this.#lost();
    } else if (this.#open) {
      if (silence > STALE_MS) this.#become('stale');
      this.#ping();
    }
  }

  #ping(): void {
    const id = this.#nextId();
    this.#pings.set(id, performance.now());
    this.#send({ op: 'ping', id });
  }

  #measure(id: number): void {
    const sentAt = this.#pings.get(id);
    this.#pings.delete(id);
    if (sentAt !== undefined) this.listener.roundTrip(performance.now() - sentAt);
  }

  #lost(): void {
    const socket = this.#socket;
    if (!socket) return;
    this.#socket = null;
    clearInterval(this.#beating);
    this.#pings.clear();
    socket.onmessage = socket.onclose = null; // a dead peer may take minutes to finish closing
    socket.close();
    this.#become('reconnecting');
    this.#redial = setTimeout(() => this.connect(), backoff(this.#attempt++));
  }

  #become(connection: Connection): void {
    if (this.#connection === connection) return;
    this.#connection = connection;
    this.listener.connection(connection);
  }

  #sendSubscriptions(): void {
    for (const subscription of this.#subscriptions) {
      this.#send({ op: 'subscribe', id: this.#nextId(), ...subscription });
    }
  }

  #nextId(): number {
    return ++this.#lastId;
  }

  #send(message: ClientMessage): void {
    this.#socket?.send(JSON.stringify(message));
  }
}
