// What is seen. All text of users goes through textContent, so that it can't become anything but text.
import { make, mark, paint } from "./element.js";
import { messageKey, unread } from "./shelf.js";
import { clock, dayName, shortTime } from "./when.js";

const $ = (id) => document.getElementById(id);
const EMOJI = "\\p{Extended_Pictographic}[\\u{fe0f}\\u{1f3fb}-\\u{1f3ff}]*";
const BIG = new RegExp(`^(${EMOJI}(\\u{200d}${EMOJI})*|\\p{Regional_Indicator}{2}){1,3}$`, "u"); // up to three emoji, and nothing else
const GROUP_WITHIN = 5 * 60_000; // ms between messages that stand together

export class View {
  on = {};
  #rows = new Map(); // message key to { item, state }
  #peer = null;
  #drafts = new Map();
  #countdown = 0;
  #bannerWait = 0;
  #last = null; // message that was rendered last
  #missed = 0; // messages that came while the log was scrolled up

  constructor() {
    $("sign-in-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const field = $("by-token").hidden ? $("name") : $("token");
      $("sign-in-error").textContent = this.on.signIn(field.value.trim()) || "";
    });
    for (const id of ["name", "token"]) $(id).addEventListener("input", () => ($("sign-in-error").textContent = ""));
    $("leave").addEventListener("click", () => this.on.signOut(""));
    $("back").addEventListener("click", () => this.on.back());
    $("banner-action").addEventListener("click", () => this.on.retry());
    $("find").addEventListener("submit", (event) => {
      event.preventDefault();
      const name = $("find-name").value.trim();
      if (name === "") return $("find-name").focus();
      $("find-name").value = "";
      this.on.open(name);
      this.#filter();
    });
    $("find-name").addEventListener("input", () => this.#filter());
    $("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#send();
    });
    $("text").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.#send();
    });
    $("text").addEventListener("input", () => this.#grow());
    $("log").addEventListener("scroll", () => this.#atEnd() && this.#setMissed(0));
    $("newest").addEventListener("click", () => this.#toEnd());
  }

  showSignIn(byToken, name, error) {
    $("app").hidden = true;
    $("sign-in").hidden = false;
    $("by-name").hidden = byToken;
    $("by-token").hidden = !byToken;
    $("name").value = name;
    $("token").value = "";
    $("sign-in-error").textContent = error;
    document.title = "Bachata";
    $(byToken ? "token" : "name").focus();
  }

  showChat(name) {
    $("sign-in").hidden = true;
    $("app").hidden = false;
    $("my-name").textContent = name;
    this.#drafts.clear();
    $("text").value = "";
    this.#peer = null;
    paint($("my-avatar"), name);
  }

  // showState says how the connection is. What passes within a moment is not worth a banner.
  showState(state) {
    clearInterval(this.#countdown);
    clearTimeout(this.#bannerWait);
    const status = $("status");
    status.dataset.state = state.name;
    status.textContent = {
      online: state.receipts ? "Connected" : "Connected, without receipts",
      connecting: "Connecting…",
      waiting: "Offline",
      stopped: "Not connected",
    }[state.name];
    if (state.name === "online") $("banner").hidden = true;
    if (state.name === "connecting" && !$("banner").hidden) this.#banner("Trying to reach the server…", "Try now", "waiting");
    if (state.name === "stopped") this.#banner(state.reason, "Sign in again", "stopped");
    if (state.name === "waiting") {
      const tell = () => {
        const seconds = Math.max(1, Math.ceil((state.until - Date.now()) / 1000));
        this.#banner(`${state.reason ?? "The server can't be reached."} What you write is kept. Next try in ${seconds} s.`, "Try now", "waiting");
      };
      this.#bannerWait = setTimeout(tell, $("banner").hidden ? 600 : 0);
      this.#countdown = setInterval(tell, 1000);
    }
  }

  #banner(text, action, state) {
    $("banner").hidden = false;
    $("banner").dataset.state = state;
    $("banner-text").textContent = text;
    $("banner-action").textContent = action;
  }

  showTalks(talks, open) {
    const items = talks.map((talk) => this.#talkItem(talk, talk.peer === open));
    const focused = document.activeElement?.closest?.("#talks button")?.dataset.peer;
    $("talks").replaceChildren(...items);
    if (focused !== undefined) [...$("talks").querySelectorAll("button")].find((b) => b.dataset.peer === focused)?.focus();
    $("no-talks").hidden = talks.length > 0;
    const total = talks.reduce((n, talk) => n + unread(talk), 0);
    document.title = total > 0 ? `(${total}) Bachata` : "Bachata";
    this.#filter();
  }

  #talkItem(talk, open) {
    const last = talk.messages.findLast((m) => m.state !== "withdrawn");
    const count = unread(talk);
    const avatar = paint(make("span", { class: "avatar", "aria-hidden": "true" }), talk.peer);
    const line = make("span", { class: "line" });
    if (last?.mine) line.append(mark(last.state));
    line.append(make("span", { class: "preview", dir: "auto" }, last ? last.text.slice(0, 200) : "No messages yet"));
    if (count > 0) line.append(make("span", { class: "count" }, String(count), make("span", { class: "sr" }, " unread")));
    const button = make("button", { type: "button", "aria-current": open && "true", class: count > 0 ? "unread" : "" },
      avatar,
      make("span", { class: "body" },
        make("span", { class: "line" },
          make("span", { class: "name" }, talk.peer || "Server"),
          last ? make("time", { datetime: new Date(last.at).toISOString() }, shortTime(last.at)) : ""),
        line));
    button.dataset.peer = talk.peer;
    button.addEventListener("click", () => this.on.open(talk.peer));
    return make("li", null, button);
  }

  #filter() {
    const text = $("find-name").value.trim().toLowerCase();
    for (const button of $("talks").querySelectorAll("button")) {
      button.parentElement.hidden = !button.dataset.peer.toLowerCase().includes(text);
    }
  }

  // openTalk turns to another conversation; null to none.
  openTalk(peer) {
    $("app").classList.toggle("in-talk", peer !== null);
    $("talk").hidden = peer === null;
    $("empty").hidden = peer !== null;
    if (peer === this.#peer) return;
    if (this.#peer !== null) this.#drafts.set(this.#peer, $("text").value);
    this.#peer = peer;
    this.#rows.clear();
    this.#last = null;
    this.#setMissed(0);
    $("messages").replaceChildren();
    if (peer === null) return;
    $("peer").textContent = peer || "Server";
    $("composer").hidden = peer === "";
    paint($("peer-avatar"), peer);
    $("text").value = this.#drafts.get(peer) ?? "";
    $("text").placeholder = `Message to ${peer}`;
    this.#grow();
    // A phone's keyboard would cover what one came to read.
    if (!matchMedia("(pointer: coarse)").matches) $("text").focus();
  }

  // showTalk brings the log up to date: states change in place, new messages are added at the end.
  showTalk(talk) {
    if (!talk || talk.peer !== this.#peer) return;
    const first = this.#rows.size === 0;
    const stick = first || this.#atEnd();
    const log = $("log");
    if (first) log.setAttribute("aria-busy", "true");
    let added = 0;
    for (const message of talk.messages) {
      const key = messageKey(message);
      const row = this.#rows.get(key);
      if (!row) {
        this.#addRow(key, message, !first);
        if (message.mine) added = Infinity;
        else added++;
      } else if (row.state !== message.state) {
        this.#changeRow(key, row, message);
      }
    }
    log.removeAttribute("aria-busy");
    if (stick || added === Infinity) this.#toEnd();
    else if (added > 0) this.#setMissed(this.#missed + added);
  }

  #addRow(key, message, fresh) {
    const last = this.#last;
    if (!last || new Date(last.at).toDateString() !== new Date(message.at).toDateString()) {
      $("messages").append(make("li", { class: "day" }, make("span", null, dayName(message.at))));
    }
    const follows = last && !!last.mine === !!message.mine && message.at - last.at < GROUP_WITHIN;
    const item = this.#item(message, !follows);
    if (fresh) item.classList.add("fresh");
    $("messages").append(item);
    this.#rows.set(key, { item, state: message.state });
    if (message.state !== "withdrawn") this.#last = message;
  }

  // changeRow changes the mark alone where it can, so that a reader of the screen hears "delivered", and not all again.
  #changeRow(key, row, message) {
    if (message.state === "accepted" || message.state === "delivered") {
      row.state = row.item.dataset.state = message.state;
      row.item.querySelector(".meta .mark").replaceWith(mark(message.state));
      return;
    }
    const item = this.#item(message, row.item.classList.contains("first"));
    row.item.replaceWith(item);
    this.#rows.set(key, { item, state: message.state });
  }

  #item(message, first) {
    const refused = message.state === "refused";
    const item = make("li", { class: `message ${message.mine ? "mine" : "theirs"} ${first ? "first" : ""} ${refused ? "refused" : ""}` });
    item.dataset.id = message.id;
    item.hidden = message.state === "withdrawn";
    if (message.state) item.dataset.state = message.state;
    const meta = make("span", { class: "meta" },
      make("time", { datetime: new Date(message.at).toISOString(), title: new Date(message.at).toLocaleString() }, clock(message.at)));
    if (message.mine) meta.append(mark(message.state));
    const big = BIG.test(message.text);
    item.append(make("div", { class: big && !refused ? "bubble big" : "bubble" },
      make("span", { class: "sr" }, message.mine ? "You: " : `${message.from || "Server"}: `),
      make("span", { class: "text", dir: "auto" }, message.text), meta));
    if (refused) {
      const again = make("button", { type: "button" }, "Try again");
      again.addEventListener("click", () => this.on.again(message));
      const edit = make("button", { type: "button" }, "Edit");
      edit.addEventListener("click", () => {
        this.on.edit(message);
        $("text").value = message.text;
        this.#grow();
        $("text").focus();
      });
      item.append(make("p", { class: "reason", role: "alert" }, make("span", null, "Not delivered. ", message.reason ?? ""), again, edit));
    }
    return item;
  }

  #send() {
    const text = $("text").value.trim();
    if (text === "") return;
    $("text").value = "";
    this.#grow();
    this.on.send(text);
    $("text").focus();
  }

  // grow makes the field as high as its text, up to a third of the window.
  #grow() {
    const field = $("text");
    field.style.height = "auto";
    const most = innerHeight / 3;
    field.style.height = `${Math.min(field.scrollHeight + 2, most)}px`;
    field.style.overflowY = field.scrollHeight > most ? "auto" : "hidden";
    $("send").disabled = field.value.trim() === "";
  }

  #atEnd() {
    const log = $("log");
    return log.scrollHeight - log.scrollTop - log.clientHeight < 80;
  }

  #toEnd() {
    $("log").scrollTop = $("log").scrollHeight;
    this.#setMissed(0);
  }

  #setMissed(n) {
    this.#missed = n;
    $("newest").hidden = n === 0;
    $("newest").firstElementChild.textContent = n === 1 ? "1 new message" : `${n} new messages`;
  }

  // announce tells those who can't see the list.
  announce(text) {
    const note = make("p", { class: "sr" }, text);
    $("toasts").append(note);
    setTimeout(() => note.remove(), 5000);
  }

  toast(text) {
    const close = make("button", { type: "button" }, "OK");
    const note = make("div", { class: "toast" }, make("span", null, text), close);
    close.addEventListener("click", () => note.remove());
    $("toasts").append(note);
    setTimeout(() => note.remove(), 12_000);
  }
}
