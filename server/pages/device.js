// One device of a user: a connection of the stock client with an exact local copy. It draws nothing; `changed` is called when it
// looks different, and `log` with everything that it sends and receives.
import { io } from "./socket.io.esm.min.js";
import { places } from "./dom.js";
import { overLine } from "./slow_transports.js";

/** How long an answer may take before a message is sent again under the same id, in milliseconds. */
const ANSWER_TIMEOUT = 15_000;
/** Typing is said again so often, in milliseconds; the server forgets it after six seconds. */
const TYPING_INTERVAL = 3_000;

/** An id of 128 random bits; `crypto.randomUUID` is there on https and localhost only. */
function newId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export class Device {
  /** "connecting", "connected", "off" (cut off on purpose) or "closed" (its tab was killed). */
  state = "closed";
  transport = "";
  peerOnline = false;
  peerTyping = false;
  #line = { delay: 0 };
  #typingSince = 0;
  #flushing = false;
  #deliveredUpTo;

  constructor({ name, player, peer, disk, token, log, changed }) {
    Object.assign(this, { name, player, peer, disk, token, log, changed });
  }

  get delay() {
    return this.#line.delay;
  }

  set delay(milliseconds) {
    this.#line.delay = milliseconds;
    this.log("note", `each packet takes ${milliseconds} ms longer, both ways`);
  }

  /** Opens the tab: a new program with what is on the disk. */
  open() {
    const auth = (pass) => this.token().then(
      (token) => pass({ token, since: this.disk.cursor }),
      // Without a token the server says what is wrong, and the client tries again.
      () => pass({}),
    );
    this.socket = io(location.origin, {
      path: places.socket,
      auth,
      transports: overLine(this.#line),
      forceNew: true,
      reconnectionDelayMax: 3_000,
    });
    this.#become("connecting");
    this.#listen();
  }

  /** The tab is gone, and all that it knew; the disk stays. */
  kill() {
    this.log("note", "its tab is killed; what is on its disk stays");
    this.#end();
    this.#become("closed");
  }

  /** The device is removed. */
  remove() {
    this.#end();
  }

  /** The connection ends, and the client does not try again. */
  cut() {
    this.log("note", "is cut off");
    this.socket.disconnect();
    this.#become("off");
  }

  /** The line is there again. */
  connect() {
    this.#become("connecting");
    this.socket.connect();
  }

  /** Sends a text, now or when there is a connection; `twice` under the same id, so that it is stored once. */
  send(text, twice = false) {
    this.disk.outbox.push({ clientMessageId: newId(), text, twice, state: "waiting", at: new Date() });
    this.#typingSince = 0;
    this.#flush();
    this.changed();
  }

  typing(isTyping) {
    if (this.state !== "connected") return;
    const now = Date.now();
    if (isTyping && now - this.#typingSince < TYPING_INTERVAL) return;
    if (!isTyping && this.#typingSince === 0) return;
    this.#typingSince = isTyping ? now : 0;
    this.#ask("typing", { receiverId: this.peer.user._id, isTyping });
  }

  /** All that is here is read. */
  async read() {
    const newest = this.disk.sorted().at(-1);
    if (newest) await this.#ask("mark_read", { peerId: this.peer.user._id, upTo: newest._id });
  }

  #listen() {
    const { socket, disk, peer } = this;
    socket.onAny((event, ...rest) => this.log(event === "dev_hint" ? "hint" : "received", event, ...rest));
    socket.on("connect", () => {
      const { engine } = socket.io;
      const shown = () => {
        this.transport = engine.transport.name;
        this.changed();
      };
      engine.on("upgrade", () => {
        this.log("note", "goes over from polling to WebSocket");
        shown();
      });
      shown();
      this.log("note", disk.cursor ? "is connected, and asks for what it missed" : "is connected");
      this.#become("connected");
      // Its copy begins with what it has on the disk; a new one fetches the newest part of the conversation.
      if (disk.messages.size === 0) this.#history();
      this.#follow();
      this.#flush();
    });
    socket.on("connect_error", (error) => {
      this.log("failed", "connect_error", { message: error.message, data: error.data });
      this.#become("connecting");
    });
    socket.on("disconnect", (reason) => {
      this.log("note", `is disconnected: ${reason}`);
      this.peerOnline = this.peerTyping = false;
      if (this.state === "connected") this.#become("connecting");
    });
    const receive = (message, at) => {
      if (this.#isHere(message) && disk.keep(message, at)) {
        this.#received();
        this.#follow();
      }
      this.changed();
    };
    socket.on(`receive_message_${this.player.user._id}`, receive);
    socket.on("message_sent", receive);
    socket.on("messages_delivered", ({ userId, upTo }, at) => {
      disk.moveOn(at);
      if (userId === peer.user._id) disk.peerDelivered = upTo;
      this.changed();
    });
    socket.on("messages_read", ({ userId, upTo }, at) => {
      disk.moveOn(at);
      if (userId === peer.user._id) disk.peerRead = upTo;
      this.changed();
    });
    socket.on("conversation_updated", (conversation, at) => {
      disk.moveOn(at);
      if (conversation.peerId === peer.user._id) disk.stand(conversation);
      this.changed();
    });
    socket.on("presence", (presence) => {
      if (presence.userId === peer.user._id) this.peerOnline = presence.isOnline;
      this.changed();
    });
    socket.on("typing", ({ userId, isTyping }) => {
      if (userId === peer.user._id) this.peerTyping = isTyping;
      this.changed();
    });
    socket.on("token_expiring", async () => this.#ask("refresh_token", { token: await this.token() }));
    socket.on("sync_done", async ({ next, hasMore }) => {
      disk.cursor = next;
      while (hasMore) {
        const page = await this.#ask("sync", { since: disk.cursor });
        if (!page?.ok) return;
        for (const { type, message } of page.events) if (type === "message" && this.#isHere(message)) disk.keep(message);
        ({ next: disk.cursor, hasMore } = page);
      }
      this.#received();
      this.changed();
    });
    socket.on("sync_reset", () => {
      Object.assign(disk, { cursor: "", messages: new Map() });
      socket.disconnect().connect();
    });
  }

  #isHere({ sender, receiver }) {
    return [sender, receiver].includes(this.peer.user._id);
  }

  async #history() {
    const { base } = places;
    const path = `${base}/chat/history/${this.player.user._id}/${this.peer.user._id}?limit=30`;
    try {
      const answer = await fetch(path, { headers: { authorization: `Bearer ${await this.token()}` } });
      const messages = await answer.json();
      this.log("answer", "GET /chat/history/…", { path, status: answer.status, messages: messages.length });
      if (answer.ok) for (const message of messages) this.disk.keep(message);
    } catch (error) {
      this.log("failed", "GET history", { message: error.message });
    }
    const page = await this.#ask("conversations", {});
    const here = page?.conversations?.find(({ peerId }) => peerId === this.peer.user._id);
    if (here) this.disk.stand(here);
    this.#received();
    this.changed();
  }

  /** Presence can be followed once the two have exchanged a message. */
  async #follow() {
    if (this.following === this.socket.id || this.disk.messages.size === 0) return;
    this.following = this.socket.id;
    const answer = await this.#ask("subscribe_presence", { userIds: [this.peer.user._id] });
    if (answer?.ok) this.peerOnline = answer.presence[0].isOnline;
    else this.following = undefined;
    this.changed();
  }

  /** What is here was received. */
  #received() {
    const newest = this.disk.sorted().filter(({ sender }) => sender === this.peer.user._id).at(-1);
    if (!newest || newest._id === this.#deliveredUpTo || this.state !== "connected") return;
    this.#deliveredUpTo = newest._id;
    this.#ask("mark_delivered", { peerId: this.peer.user._id, upTo: newest._id });
  }

  /** Sends what waits, one after the other, so that the order stays. */
  async #flush() {
    if (this.#flushing) return;
    this.#flushing = true;
    const { disk, socket } = this;
    for (let entry; this.state === "connected" && socket.connected && (entry = disk.outbox.find(({ state }) => state === "waiting"));) {
      const payload = { receiverId: this.peer.user._id, message: entry.text, clientMessageId: entry.clientMessageId };
      const [answer] = await Promise.all((entry.twice ? [1, 2] : [1]).map(() => this.#ask("send_message", payload)));
      if (answer?.ok) {
        disk.outbox.splice(disk.outbox.indexOf(entry), 1);
        disk.keep(answer.message);
        this.#follow();
      } else if (answer && answer.error.retryAfterMs === undefined) {
        entry.state = "failed";
      } else {
        // No answer, or one to try again: under the same id it is stored once, however often it is sent.
        await new Promise((again) => setTimeout(again, answer?.error.retryAfterMs ?? 500));
      }
      this.changed();
    }
    this.#flushing = false;
  }

  /** Sends an event and resolves to its answer, or to nothing if none came. */
  async #ask(event, payload) {
    const { socket } = this;
    this.log("sent", event, payload);
    const began = performance.now();
    try {
      const answer = await socket.timeout(ANSWER_TIMEOUT).emitWithAck(event, payload);
      const took = Math.round(performance.now() - began);
      if (socket === this.socket) this.log(answer.ok ? "answer" : "failed", `${event} answered in ${took} ms`, answer);
      return answer;
    } catch {
      if (socket === this.socket) this.log("failed", `${event} got no answer`);
      return undefined;
    }
  }

  #end() {
    const { socket } = this;
    this.socket = undefined;
    this.following = this.#deliveredUpTo = undefined;
    this.#flushing = this.peerOnline = this.peerTyping = false;
    // Nothing that still comes is this program's any more.
    socket?.offAny().off().disconnect();
  }

  #become(state) {
    this.state = state;
    if (state !== "connected") this.transport = "";
    this.changed();
  }
}
