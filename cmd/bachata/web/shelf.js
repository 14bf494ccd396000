// What one name keeps in this browser: the outbox and the conversations. Several tabs may share it, so every change reads
// what is stored, merges, and writes; the tabs that did not write learn of it by the browser's storage event.

const KEPT = 1_000; // messages of one conversation

// A message's state only ever grows.
const RANK = { queued: 0, accepted: 1, refused: 2, delivered: 3, withdrawn: 4 };

// storage is the browser's, or a stand-in for this page's lifetime where that is switched off.
function openStorage() {
  try {
    localStorage.setItem("bachata/probe", "1");
    localStorage.removeItem("bachata/probe");
    return localStorage;
  } catch {
    const items = new Map();
    return {
      get length() { return items.size; },
      key: (i) => [...items.keys()][i] ?? null,
      getItem: (key) => items.get(key) ?? null,
      setItem: (key, value) => void items.set(key, value),
      removeItem: (key) => void items.delete(key),
    };
  }
}

export const storage = openStorage();

export class Shelf {
  #prefix;
  #talks = new Map(); // peer to { peer, read, messages }
  #peerOf = new Map(); // id of a message of ours to its peer
  #unsaved = null; // the outbox, while the browser has no room for it

  // changed(peer) is called after every change of a conversation, whichever tab made it.
  constructor(name, changed) {
    this.#prefix = `bachata/${encodeURIComponent(name)}/`;
    this.changed = changed;
    for (let i = 0; i < storage.length; i++) {
      const peer = this.#peerOfKey(storage.key(i));
      if (peer !== null) this.#read(peer);
    }
    this.onStorage = (event) => {
      const peer = this.#peerOfKey(event.key);
      if (peer !== null && event.newValue) {
        this.#read(peer);
        this.changed(peer);
      }
    };
    addEventListener("storage", this.onStorage);
  }

  close() {
    removeEventListener("storage", this.onStorage);
  }

  // load returns the outbox: what the server has not answered yet, in the order of sending.
  load() {
    return this.#unsaved ?? readJSON(this.#prefix + "outbox") ?? [];
  }

  // change replaces the outbox by what fn makes of it.
  change(fn) {
    const before = this.load();
    const after = fn(before);
    if (after.length === before.length) return;
    this.#unsaved = this.#write(this.#prefix + "outbox", JSON.stringify(after)) ? null : after;
  }

  // talks returns the conversations, the latest first.
  talks() {
    const last = (talk) => talk.messages.at(-1)?.at ?? talk.opened ?? 0;
    return [...this.#talks.values()].sort((a, b) => last(b) - last(a));
  }

  talk(peer) {
    return this.#talks.get(peer);
  }

  // open makes sure that there is a conversation with peer.
  open(peer) {
    if (!this.#talks.has(peer)) this.#change(peer, () => {});
  }

  // add appends messages to the conversation with peer and returns whether they are kept.
  add(peer, messages) {
    return this.#change(peer, (talk) => {
      const known = new Set(talk.messages.map(messageKey));
      for (const message of messages) {
        if (known.has(messageKey(message))) continue;
        known.add(messageKey(message));
        talk.messages.push({ ...message, at: Math.max(Date.now(), (talk.messages.at(-1)?.at ?? 0) + 1) });
      }
    });
  }

  // advance moves a message of ours to a later state; what is behind its state already is left alone.
  advance(id, state, more) {
    const peer = this.#peerOf.get(id);
    if (peer === undefined) return;
    this.#change(peer, (talk) => {
      const message = talk.messages.findLast((m) => m.mine && m.id === id);
      if (message && RANK[state] > RANK[message.state]) Object.assign(message, more, { state });
    });
  }

  // markRead says that everything in the conversation with peer was seen.
  markRead(peer) {
    const talk = this.#talks.get(peer);
    if (talk && unread(talk) > 0) this.#change(peer, (t) => void (t.read = t.messages.at(-1).at));
  }

  #peerOfKey(key) {
    const start = this.#prefix + "with/";
    return key?.startsWith(start) ? decodeURIComponent(key.slice(start.length)) : null;
  }

  #key(peer) {
    return this.#prefix + "with/" + encodeURIComponent(peer.toWellFormed());
  }

  // read brings what is stored of a conversation together with what this tab knows.
  #read(peer) {
    const stored = readJSON(this.#key(peer));
    const mine = this.#talks.get(peer);
    const talk = merge(mine, Array.isArray(stored?.messages) ? stored : undefined) ?? { peer, read: 0, messages: [] };
    talk.peer = peer;
    talk.opened ??= Date.now();
    this.#talks.set(peer, talk);
    for (const message of talk.messages) if (message.mine) this.#peerOf.set(message.id, peer);
    return talk;
  }

  #change(peer, fn) {
    const talk = this.#read(peer);
    fn(talk);
    talk.messages.splice(0, talk.messages.length - KEPT);
    for (const message of talk.messages) if (message.mine) this.#peerOf.set(message.id, peer);
    const kept = this.#write(this.#key(peer), JSON.stringify(talk));
    this.changed(peer);
    return kept;
  }

  // write stores a value. When the browser's room is used up, the oldest messages make place.
  #write(key, value) {
    for (let attempt = 0; ; attempt++) {
      try {
        storage.setItem(key, value);
        return true;
      } catch {
        if (attempt === 5 || !this.#makeRoom(key)) return false;
      }
    }
  }

  #makeRoom(except) {
    let largest = null;
    for (const talk of this.#talks.values()) {
      if (this.#key(talk.peer) !== except && talk.messages.length > (largest?.messages.length ?? 10)) largest = talk;
    }
    if (!largest) return false;
    const settled = largest.messages.filter((m) => m.state !== "queued").slice(0, largest.messages.length / 2);
    largest.messages = largest.messages.filter((m) => !settled.includes(m));
    try {
      storage.removeItem(this.#key(largest.peer));
      storage.setItem(this.#key(largest.peer), JSON.stringify(largest));
    } catch {
      return false;
    }
    return settled.length > 0;
  }
}

// unread counts the messages of others that came after the last one that was seen.
export function unread(talk) {
  return talk.messages.reduce((n, m) => n + (!m.mine && m.at > talk.read ? 1 : 0), 0);
}

export const messageKey = (m) => JSON.stringify([m.mine ? 1 : 0, m.from, m.id]);

function merge(a, b) {
  if (!a || !b) return a ?? b;
  const byKey = new Map();
  for (const m of [...a.messages, ...b.messages]) {
    const known = byKey.get(messageKey(m));
    if (!known) byKey.set(messageKey(m), m);
    else if ((RANK[m.state] ?? 0) > (RANK[known.state] ?? 0)) Object.assign(known, { state: m.state, reason: m.reason });
  }
  const messages = [...byKey.values()].sort((x, y) => x.at - y.at);
  return { peer: a.peer, read: Math.max(a.read, b.read), opened: a.opened, messages };
}

function readJSON(key) {
  try {
    return JSON.parse(storage.getItem(key));
  } catch {
    return null;
  }
}
