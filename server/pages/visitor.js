// Who tries things on the page: a token, the connection that it opens, and the ids that examples get by it.
import { io } from "./socket.io.esm.min.js";
import { places } from "./dom.js";

/** The ids in the examples of the documents: of the user who asks, and of the other one. */
const EXAMPLES = { me: "6945577083968f286a0ff5fb", peer: "6945576383968f286a0ff5f9" };
/** How long is waited for a connection or an answer, in milliseconds. */
const TIMEOUT = 10_000;

export class Visitor {
  #changed = [];
  #told;
  #socket;
  ids = {};

  constructor(told) {
    this.#told = told;
  }

  /** Calls back when there is another token, and with it other ids. */
  onChange(callback) {
    this.#changed.push(callback);
  }

  /** Uses this token from now on. */
  async be(token, peer) {
    this.#socket?.disconnect();
    this.#socket = undefined;
    this.token = token;
    try {
      const answer = await fetch(`${places.base}/users/me`, { headers: this.headers() });
      const body = await answer.json();
      if (!answer.ok) throw new Error(body.error.message);
      this.ids = { me: body._id, peer };
      this.#told(`You are ${body.displayName ?? body.username}, ${body._id}.`);
    } catch (error) {
      this.ids = {};
      this.#told(`This token is of no use: ${error.message}`);
    }
    for (const changed of this.#changed) changed();
  }

  /** Uses a token of the playground, and returns it. */
  async bePlayer() {
    const answer = await fetch(`${places.base}/playground/tokens`, { method: "POST" });
    const body = await answer.json();
    if (!answer.ok) {
      this.#told(body.error.message);
      return undefined;
    }
    const [ada, grace] = body.users;
    await this.be(ada.token, grace.user._id);
    return ada.token;
  }

  headers() {
    return this.token ? { authorization: `Bearer ${this.token}` } : {};
  }

  /** A text of an example, with ids that mean somebody here. */
  mine(text) {
    let mine = text;
    for (const [who, id] of Object.entries(EXAMPLES)) if (this.ids[who]) mine = mine.replaceAll(id, this.ids[who]);
    return mine;
  }

  /** The connection, open. */
  async socket() {
    if (!this.token) throw new Error("a token is needed first, see “Who you are”");
    this.#socket ??= io(location.origin, { path: places.socket, auth: { token: this.token }, forceNew: true, reconnectionAttempts: 3 });
    const socket = this.#socket;
    if (!socket.connected) {
      await new Promise((resolve, reject) => {
        setTimeout(() => reject(new Error("no connection in time")), TIMEOUT);
        socket.once("connect", resolve);
        socket.once("connect_error", (error) => reject(new Error(error.data?.message ?? error.message)));
        socket.connect();
      });
    }
    return socket;
  }

  /** Sends an event and resolves to its answer. */
  async send(event, payload) {
    const socket = await this.socket();
    return socket.timeout(TIMEOUT).emitWithAck(event, payload);
  }
}
