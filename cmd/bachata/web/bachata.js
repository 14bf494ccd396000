// The client side of the protocol (PROTOCOL.md): a WebSocket that comes back by itself, an outbox that a reload does not
// lose, and every message shown once. It knows nothing of how messages are shown.

import { newID, parse } from "./frame.js";

const PING_AFTER = 25_000; // ms of silence before the server is asked whether it is there
const PONG_WITHIN = 10_000; // ms that its answer may take
const READY_WITHIN = 15_000; // ms from connecting to the server's 1000
const RETRY_FIRST = 400; // ms; doubled with each attempt, up to RETRY_MOST
const RETRY_MOST = 30_000;
const RETRY_CALM = 30_000; // ms, after the server said that it was too much
const STEADY = 5_000; // ms after which a connection counts as one that held
const BATCH_WITHIN = 15; // ms in which incoming messages are gathered: one save and one 200 for all of them
const BATCH_MOST = 200; // messages of one batch, and ids of one 200
const SEEN_MOST = 5_000; // ids that are remembered to show a repeated message once

// Close codes after which coming back by itself would not help.
const FINAL = new Map([
  [4401, "The server did not accept your sign-in, or it has run out"],
  [4403, "The server does not let you use this name"],
]);
// What to say of the others.
const PASSING = new Map([
  [1001, "The server is restarting."],
  [1009, "A message was too large for the server."],
  [4408, "The server ended the connection because this page had stopped reading."],
  [4429, "That was too much at once. The server asked for a pause."],
]);

// Client keeps one name connected. The shelf keeps its outbox: load() gives the list, change(fn) replaces it by fn(list).
// on.messages(list) shows and stores what came and returns false if it could not be stored, so that it is not confirmed.
export class Client {
  #socket = null;
  #ready = false;
  #leaving = false; // the server said that it goes away: nothing new is sent to it
  #readyAt = 0;
  #attempt = 0;
  #retryAt = 0;
  #timers = {};
  #sentHere = new Set(); // ids sent over this socket
  #retryDelay = 0; // of messages that the server could not store
  #incoming = [];
  #seen = new Map(); // "from id" of messages that were shown
  #max = 64 * 1024;

  constructor({ url, protocols, shelf, on }) {
    this.url = url;
    this.protocols = protocols;
    this.shelf = shelf;
    this.on = on;
    this.state = { name: "connecting" };
    this.online = () => this.retryNow();
    addEventListener("online", this.online);
  }

  // start connects, and keeps connecting until stop.
  start() {
    this.#connect();
  }

  // stop ends the connection for good.
  stop() {
    removeEventListener("online", this.online);
    for (const name of Object.keys(this.#timers)) this.#clear(name);
    const socket = this.#socket;
    this.#socket = null;
    socket?.close(1000);
  }

  // send puts a message into the outbox, from where it goes out when it can, and returns its id.
  send(dest, text) {
    const message = { id: newID(), type: "direct", time: Date.now(), dest, data: { text } };
    this.shelf.change((list) => [...list, message]);
    // The caller shows the message first: an answer must not come before that.
    queueMicrotask(() => this.flush());
    return message;
  }

  // flush sends what is in the outbox and was not sent over this socket yet, in order.
  flush() {
    if (!this.#ready || this.#leaving || this.#timers.resend) return;
    for (const message of this.shelf.load()) {
      if (this.#sentHere.has(message.id)) continue;
      const frame = JSON.stringify(message);
      const size = new TextEncoder().encode(frame).length;
      if (size > this.#max) {
        this.#refused(message.id, `It is too long: ${kib(size)}, the server takes ${kib(this.#max)}.`);
        continue;
      }
      this.#sentHere.add(message.id);
      this.#socket.send(frame);
    }
  }

  // retryNow does not wait for the next attempt. On a living connection it asks whether it is alive.
  retryNow() {
    if (this.state.name === "waiting") this.#connect();
    else if (this.#ready) this.#ping();
  }

  #connect() {
    this.#clear("retry");
    if (this.#socket) return;
    this.#setState({ name: "connecting", since: this.#attempt });
    let socket;
    try {
      socket = new WebSocket(this.url, this.protocols);
    } catch {
      // Text that no subprotocol may hold was pasted as a token.
      this.#setState({ name: "stopped", code: 4401, reason: `${FINAL.get(4401)}.` });
      return;
    }
    this.#socket = socket;
    this.#ready = false;
    this.#leaving = false;
    this.#sentHere.clear();
    socket.onmessage = (event) => {
      if (socket === this.#socket) this.#receive(event.data);
    };
    socket.onclose = (event) => {
      if (socket === this.#socket) this.#closed(event.code, event.reason);
    };
    this.#timer("watch", READY_WITHIN, () => this.#drop());
  }

  // drop gives a socket up without waiting for its closing handshake, which a dead connection never finishes.
  #drop() {
    const socket = this.#socket;
    if (!socket) return;
    this.#closed(1006);
    socket.close();
  }

  #closed(code, reason) {
    // One that ends again at once is not tried faster than one that can't be reached.
    if (this.#ready && Date.now() - this.#readyAt > STEADY) this.#attempt = 0;
    this.#socket = null;
    this.#ready = false;
    for (const name of ["watch", "resend", "leave"]) this.#clear(name);
    if (code === 1009) this.#refuseLargest();
    if (FINAL.has(code)) {
      this.#setState({ name: "stopped", code, reason: `${FINAL.get(code)}${reason ? ": " + reason : ""}.` });
      return;
    }
    let delay = Math.min(RETRY_MOST, RETRY_FIRST * 2 ** this.#attempt) * (0.5 + Math.random() / 2);
    if (code === 4429) delay = RETRY_CALM * (0.5 + Math.random());
    delay = Math.max(delay, this.#retryAt - Date.now());
    this.#attempt++;
    this.#setState({ name: "waiting", until: Date.now() + delay, code, reason: PASSING.get(code) });
    this.#timer("retry", delay, () => this.#connect());
  }

  // refuseLargest keeps a message that the server closes the connection for from doing so forever.
  #refuseLargest() {
    const size = (message) => JSON.stringify(message).length;
    const sent = this.shelf.load().filter((message) => this.#sentHere.has(message.id));
    if (sent.length === 0) return;
    const largest = sent.reduce((a, b) => (size(b) > size(a) ? b : a));
    this.#refused(largest.id, "It is too large for the server.");
  }

  #receive(text) {
    this.#heard();
    let frame;
    try {
      frame = parse(text);
    } catch {
      return;
    }
    if (typeof frame?.type === "string") {
      if (frame.ephemeral === true) return; // "is typing" and the like, which this page does not show; its id means nothing
      this.#incoming.push(frame);
      if (this.#incoming.length >= BATCH_MOST) this.#deliver();
      else if (!this.#timers.batch) this.#timer("batch", BATCH_WITHIN, () => this.#deliver());
      return;
    }
    const id = frame?.data;
    switch (frame?.type) {
      case 100:
        this.#retryDelay = 0;
        this.#answered(id);
        this.on.accepted(id);
        break;
      case 300: // Should it overtake its 100, it stands for both.
        this.#answered(id);
        this.on.delivered(id, frame.from, frame.time);
        break;
      case 400:
        this.#notStored(id, frame.code, frame.reason);
        break;
      case 480:
        this.#answered(id);
        this.on.refused(id, "It was not picked up in time, and is gone.");
        break;
      case 481:
        this.#answered(id);
        this.on.refused(id, `The inbox of ${frame.from ?? frame.dest ?? "the receiver"} was full.`);
        break;
      case 1000:
        this.#welcome(frame);
        break;
      case 1001:
        this.#socket.send('{"type":1002}');
        break;
      case 1003:
        // Each client is given a time of its own, so that not all come back at once.
        this.#leaving = true;
        this.#attempt = 0;
        this.#retryAt = Date.now() + (Number(id) || 0);
        this.#timer("leave", Number(id) || 0, () => this.#drop());
        break;
      case 1004:
        this.on.gap(frame.dropped ?? 0, frame.expired ?? 0, frame.receipts ?? 0);
        break;
    }
  }

  #welcome(frame) {
    this.#ready = true;
    this.#readyAt = Date.now();
    this.#heard();
    if (frame.max > 0) this.#max = frame.max;
    this.#setState({ name: "online", as: frame.from, receipts: frame.dedupe !== undefined });
    this.flush();
  }

  #notStored(id, code, reason) {
    const known = this.shelf.load().some((message) => message.id === id);
    if (!known) {
      if (code !== "window_full") this.on.notice(reason || "The server refused something.");
      return;
    }
    if (code !== "unavailable") {
      this.#refused(id, reason || code);
      return;
    }
    // The server does not know whether it has it: the same id goes out again, in its order, a little later.
    if (this.#leaving || this.#timers.resend) return;
    if (!this.#retryDelay) this.on.notice("The server can't store messages at the moment. What you write is kept, and sent again.");
    this.#retryDelay = Math.min(RETRY_MOST, (this.#retryDelay || 500) * 2);
    this.#timer("resend", this.#retryDelay, () => {
      this.#sentHere.clear();
      this.flush();
    });
  }

  #answered(id) {
    this.shelf.change((list) => list.filter((message) => message.id !== id));
  }

  #refused(id, reason) {
    this.#answered(id);
    this.on.refused(id, reason);
  }

  // deliver hands over what came, each message once, and confirms it when it is stored. What was shown before is
  // confirmed again: its 200 may be what got lost.
  #deliver() {
    this.#clear("batch");
    const came = this.#incoming.splice(0);
    const fresh = [];
    for (const frame of came) {
      const key = seenKey(frame);
      if (frame.id !== undefined && this.#seen.has(key)) continue;
      this.#seen.set(key, true);
      fresh.push(frame);
    }
    for (const key of this.#seen.keys()) {
      if (this.#seen.size <= SEEN_MOST) break;
      this.#seen.delete(key);
    }
    if (fresh.length > 0 && this.on.messages(fresh) === false) {
      for (const frame of fresh) this.#seen.delete(seenKey(frame));
      return;
    }
    if (this.#socket?.readyState === WebSocket.OPEN) this.#confirm(came.filter((frame) => frame.id !== undefined));
  }

  // confirm answers messages with as few 200s as their senders and the largest frame allow.
  #confirm(frames) {
    const room = Math.min(this.#max, 16 * 1024) / 2;
    let confirm = null;
    let size = 0;
    const write = () => confirm && this.#socket.send(JSON.stringify(confirm));
    for (const { id, from, dest } of frames) {
      if (!confirm || confirm.from !== from || confirm.dest !== dest || size + id.length > room) {
        write();
        confirm = { type: 200, data: [], from, dest };
        size = 0;
      }
      confirm.data.push(id);
      size += id.length + 3;
    }
    write();
  }

  #heard() {
    if (!this.#ready) return;
    this.#timer("watch", PING_AFTER, () => this.#ping());
  }

  #ping() {
    // Another tab of this name may have left something behind.
    this.flush();
    this.#socket.send('{"type":1001}');
    this.#timer("watch", PONG_WITHIN, () => this.#drop());
  }

  #timer(name, delay, fn) {
    this.#clear(name);
    this.#timers[name] = setTimeout(() => {
      this.#timers[name] = 0;
      fn();
    }, delay);
  }

  #clear(name) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = 0;
  }

  #setState(state) {
    this.state = state;
    this.on.state(state);
  }
}

const seenKey = (frame) => JSON.stringify([frame.from, frame.id]);

function kib(bytes) {
  return `${Math.max(1, Math.round(bytes / 1024)).toLocaleString()} KiB`;
}
