// The chat page: brings the client (bachata.js), what is kept (shelf.js) and what is seen (view.js) together.
import { Client } from "./bachata.js";
import { Shelf, storage } from "./shelf.js";
import { View } from "./view.js";

const NAME_MOST = 255; // bytes of a name, as the server takes it
const byToken = document.documentElement.dataset.signIn === "token";
const view = new View();
let chat = null;

// Chat is the time from signing in under a name to leaving it.
class Chat {
  constructor(name, token) {
    this.name = name;
    this.shelf = new Shelf(name, (peer) => this.changed(peer));
    const url = new URL("messages", document.baseURI);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    if (!token) url.searchParams.set("channel", name);
    this.client = new Client({
      url,
      protocols: token ? ["bachata", "bearer." + token] : [],
      shelf: this.shelf,
      on: {
        state: (state) => view.showState(state),
        messages: (list) => this.came(list),
        accepted: (id) => this.shelf.advance(id, "accepted"),
        delivered: (id) => this.shelf.advance(id, "delivered"),
        refused: (id, reason) => this.shelf.advance(id, "refused", { reason }),
        gap: (dropped, expired, receipts) => view.toast(gapText(dropped, expired, receipts)),
        notice: (text) => view.toast(text),
      },
    });
    view.showChat(name);
    this.client.start();
    this.follow();
  }

  end() {
    this.client.stop();
    this.shelf.close();
  }

  // came shows messages and returns whether all of them are kept.
  came(frames) {
    const byPeer = new Map();
    for (const frame of frames) {
      // What was written to oneself stands in the conversation already.
      if (frame.from === this.name && this.shelf.talk(this.name)?.messages.some((m) => m.mine && m.id === frame.id)) continue;
      const peer = frame.from ?? "";
      const message = { id: frame.id ?? `none-${crypto.getRandomValues(new Uint32Array(3)).join("-")}`, from: peer, text: textOf(frame.data), time: frame.time };
      if (!byPeer.has(peer)) byPeer.set(peer, []);
      byPeer.get(peer).push(message);
    }
    let kept = true;
    for (const [peer, messages] of byPeer) {
      kept = this.shelf.add(peer, messages) && kept;
      if (!this.reads(peer)) view.announce(`New message from ${peer || "the server"}`);
    }
    if (!kept) view.toast("This browser's storage is full: new messages stay on the server until there is room.");
    return kept;
  }

  send(peer, text) {
    const message = this.client.send(peer, text);
    this.shelf.add(peer, [{ id: message.id, from: this.name, mine: true, text, time: message.time, state: "queued" }]);
  }

  // changed shows a change in the conversation with peer, whichever tab it came from.
  changed(peer) {
    if (chat !== this) return;
    if (this.reads(peer)) this.shelf.markRead(peer);
    this.show();
  }

  show() {
    view.showTalks(this.shelf.talks(), this.peer);
    if (this.peer !== null) view.showTalk(this.shelf.talk(this.peer));
  }

  // reads reports whether the user has the conversation with peer before the eyes.
  reads(peer) {
    return peer === this.peer && !document.hidden;
  }

  // follow opens the conversation that the address names, "#to=bob".
  follow() {
    const peer = new URLSearchParams(location.hash.slice(1)).get("to");
    this.peer = peer;
    if (peer !== null && !this.shelf.talk(peer)) this.shelf.open(peer);
    view.openTalk(peer);
    if (peer !== null && this.reads(peer)) this.shelf.markRead(peer);
    this.show();
  }
}

function textOf(data) {
  if (typeof data === "string") return data;
  if (typeof data?.text === "string") return data.text;
  return data === undefined ? "" : JSON.stringify(data, null, 2);
}

function gapText(dropped, expired, receipts) {
  const count = (n, what) => (n > 0 ? [`${n} ${n === 1 ? what : what + "s"}`] : []);
  const lost = [...count(dropped + expired, "message"), ...count(receipts, "receipt")].join(" and ");
  return `${lost || "Something"} for you could not be kept: your inbox was full, or it took too long.`;
}

// nameOfToken reads the name from a token, to know what to show; the server checks it.
function nameOfToken(token) {
  try {
    const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const bytes = Uint8Array.from(atob(part), (c) => c.charCodeAt(0));
    const name = JSON.parse(new TextDecoder().decode(bytes)).sub;
    return typeof name === "string" ? name : "";
  } catch {
    return "";
  }
}

function checkName(name) {
  const size = new TextEncoder().encode(name).length;
  if (size === 0) return "Please type a name.";
  if (!name.isWellFormed()) return "That name holds half a character.";
  if (size > NAME_MOST) return `That is too long: a name has at most ${NAME_MOST} bytes.`;
  return "";
}

function signIn(name, token) {
  // This tab keeps its name over a reload; a new tab begins with the one used last.
  sessionStorage.setItem("bachata/name", name);
  if (token) sessionStorage.setItem("bachata/token", token);
  else storage.setItem("bachata/name", name);
  chat?.end();
  chat = new Chat(name, token);
}

function signOut(error) {
  chat?.end();
  chat = null;
  sessionStorage.removeItem("bachata/token");
  history.replaceState(null, "", location.pathname);
  view.showSignIn(byToken, storage.getItem("bachata/name") ?? "", error);
}

view.on = {
  signIn(text) {
    if (!byToken) {
      const error = checkName(text);
      return error || signIn(text);
    }
    const name = nameOfToken(text);
    if (!/^[\w.~+/=-]+$/.test(text) || checkName(name)) return "This is no token with a name (\"sub\") in it.";
    return signIn(name, text);
  },
  signOut,
  open(peer) {
    const error = checkName(peer);
    if (error) return view.toast(error);
    location.hash = "to=" + encodeURIComponent(peer);
  },
  back: () => void (location.hash = ""),
  send: (text) => chat.send(chat.peer, text),
  again(message) {
    chat.shelf.advance(message.id, "withdrawn");
    chat.send(chat.peer, message.text);
  },
  edit: (message) => chat.shelf.advance(message.id, "withdrawn"),
  retry() {
    const state = chat.client.state;
    if (state.name === "stopped") signOut(byToken ? state.reason : "");
    else chat.client.retryNow();
  },
};

addEventListener("hashchange", () => chat?.follow());
document.addEventListener("visibilitychange", () => {
  if (document.hidden || !chat) return;
  chat.client.retryNow();
  chat.follow();
});

const token = sessionStorage.getItem("bachata/token");
const name = sessionStorage.getItem("bachata/name") ?? storage.getItem("bachata/name");
if (byToken && token) signIn(nameOfToken(token), token);
else if (!byToken && name) signIn(name);
else signOut("");
