// The way to the server: tokens, the connection and how it comes back, requests and their answers. It keeps nothing of the chat.
import { io, type ManagerOptions, type Socket, type SocketOptions } from "socket.io-client";
import { ChatError, chatError, pause } from "./error.js";
import type { ClientToServerEvents, Failed, ServerToClientEvents } from "./protocol.js";

/** How long an answer may take: longer than the server takes to say that its database does not answer. */
const ANSWER_MS = 30_000;
/** Refusals that another token can mend. */
const OF_TOKEN = ["token_expired", "token_invalid", "token_revoked", "user_unknown", "unauthorized"];

export interface LinkOptions {
  /** Where the server is, with its `BASE_PATH` if it has one: `https://chat.example.com`. */
  url: string;
  /**
   * Gives a token of the user. It is called when there is none yet, when the last one ends soon, and when it was refused; then the
   * same one again means that there is no other.
   */
  auth: () => string | Promise<string>;
  /** The server's `SOCKET_PATH`, if it is not `BASE_PATH/socket.io`. */
  path?: string;
  /** More options of `socket.io-client`, such as `transports`. */
  socket?: Partial<ManagerOptions & SocketOptions>;
}

/** Whom a link tells what happens to it. */
export interface LinkOwner {
  /** The cursor with which the next connection begins. */
  since(): string;
  /** A connection is about to be tried with a good token; what it throws lets it be tried again later. */
  ready(): Promise<void>;
  online(): void;
  /** The connection is lost and will be tried again. */
  offline(): void;
  /** It will not be tried again until `connect` is called. */
  refused(error: ChatError): void;
  /** Something failed that is tried again. */
  problem(error: ChatError): void;
  event(name: string, payload: unknown, cursor?: string): void;
}

/** The payload of a request, and what a good answer has. */
type Payload<E extends keyof ClientToServerEvents> = Parameters<ClientToServerEvents[E]>[0];
type Answer<E extends keyof ClientToServerEvents> = Parameters<Parameters<ClientToServerEvents[E]>[1]>[0];
type Fields<E extends keyof ClientToServerEvents> = Exclude<Answer<E>, Failed>;

export class Link {
  private readonly socket: Socket<ServerToClientEvents, ClientToServerEvents>;
  private readonly base: string;
  private token = "";
  /** The token that was refused last. */
  private bad: string | undefined;
  private failures = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private wanted = false;

  constructor(
    private readonly options: LinkOptions,
    private readonly owner: LinkOwner,
  ) {
    // What follows the host is `BASE_PATH`; to `io` it would be a namespace.
    const [, host = "", base = ""] = /^(\w+:\/\/[^/?#]+)([^?#]*)/.exec(options.url) ?? [];
    this.base = host + base.replace(/\/+$/, "");
    this.socket = io(host, {
      path: options.path ?? `${base.replace(/\/+$/, "")}/socket.io`,
      ...options.socket,
      forceNew: true,
      autoConnect: false,
      auth: (pass) => void this.authenticate(pass),
    });
    this.socket.on("connect", () => {
      this.failures = 0;
      this.bad = undefined;
      this.owner.online();
    });
    this.socket.on("disconnect", (reason) => {
      this.owner.offline();
      // After all other reasons the library connects again by itself.
      if (reason === "io server disconnect" && this.wanted) {
        this.end(new ChatError({ code: "disconnected", message: "an administrator ended the connection" }));
      }
    });
    this.socket.on("connect_error", (error) => {
      if (this.socket.active) return; // the network; the library tries again
      const { data } = error as { data?: ConstructorParameters<typeof ChatError>[0] };
      this.deny(new ChatError(data?.code ? data : { code: "refused", message: error.message }));
    });
    this.socket.onAny((name: string, payload: unknown, at?: { cursor: string }) => {
      if (name === "token_expiring") void this.refresh();
      else if (name === "token_expired" || (payload as { code?: string } | undefined)?.code === "token_revoked") this.bad = this.token;
      this.owner.event(name, payload, at?.cursor);
    });
  }

  get online(): boolean {
    return this.socket.connected;
  }

  connect(): void {
    this.wanted = true;
    clearTimeout(this.timer);
    if (!this.socket.active) this.socket.connect();
  }

  disconnect(): void {
    this.wanted = false;
    clearTimeout(this.timer);
    this.socket.disconnect();
  }

  /** Leaves, and connects anew after a while. */
  again(milliseconds = this.delay()): void {
    if (!this.wanted) return;
    this.disconnect();
    this.wanted = true;
    this.timer = setTimeout(() => this.connect(), milliseconds);
  }

  /** Sends a request once. `taken` gets a good answer before anything that came after it is looked at. */
  ask<E extends keyof ClientToServerEvents>(
    event: E,
    payload: Payload<E>,
    taken?: (answer: Fields<E>) => void,
  ): Promise<Fields<E>> {
    return new Promise((resolve, reject) => {
      if (!this.online) return reject(new ChatError({ code: "offline", message: "not connected" }));
      const answered = (lost: Error | null, answer: Fields<E> | Failed) => {
        if (lost) reject(new ChatError({ code: "no_answer", message: lost.message }));
        else if (answer.ok === false) reject(new ChatError(answer.error));
        else {
          taken?.(answer);
          resolve(answer);
        }
      };
      const emitter = this.socket.timeout(ANSWER_MS) as unknown as { emit(...args: unknown[]): void };
      emitter.emit(event, payload, answered);
    });
  }

  /** As `ask`, and again for as long as the server says when. */
  request<E extends keyof ClientToServerEvents>(event: E, payload: Payload<E>): Promise<Fields<E>> {
    return patiently(() => this.ask(event, payload));
  }

  /** What `GET path` answers. */
  get<T>(path: string): Promise<T> {
    return patiently(async () => {
      for (let first = true; ; first = false) {
        const token = await this.fresh();
        const late = new AbortController();
        const timer = setTimeout(() => late.abort(), 4 * ANSWER_MS);
        try {
          const response = await fetch(this.base + path, {
            headers: { authorization: `Bearer ${token}` },
            signal: late.signal,
          });
          if (response.ok) return (await response.json()) as T;
          if (response.status === 401 && first) {
            this.bad = token;
            continue;
          }
          const { error } = await response.json().catch(() => ({}) as { error?: undefined });
          throw new ChatError(error ?? { code: "http", message: `GET ${path}: status ${response.status}` });
        } finally {
          clearTimeout(timer);
        }
      }
    });
  }

  /** A token that is good as far as one can see from here. */
  private async fresh(): Promise<string> {
    if (!this.token || this.token === this.bad || endOf(this.token) < Date.now() + ANSWER_MS) {
      this.token = await this.options.auth();
    }
    return this.token;
  }

  private async authenticate(pass: (data: object) => void): Promise<void> {
    const { engine } = this.socket.io;
    let failed: unknown;
    try {
      const { bad } = this;
      const token = await this.fresh();
      if (bad !== undefined && token === bad) {
        return this.end(new ChatError({ code: "token_invalid", message: "the token was refused, and there is no other" }));
      }
      await this.owner.ready();
      // Another connection may have taken the place of the one that asked.
      if (engine === this.socket.io.engine && engine.readyState === "open") pass({ token, since: this.owner.since() });
      return;
    } catch (error) {
      failed = error;
    }
    if (engine !== this.socket.io.engine) return;
    const error = chatError(failed);
    this.owner.problem(error);
    this.deny(error, true);
  }

  /** After a refusal: tries again if that can help. */
  private deny(error: ChatError, passing = error.retryAfterMs !== undefined): void {
    if (OF_TOKEN.includes(error.code)) {
      this.bad = this.token;
      this.again(this.failures ? undefined : 0);
      this.failures ||= 1;
    } else if (passing) this.again(Math.max(error.retryAfterMs ?? 0, this.delay()));
    else this.end(error);
  }

  private end(error: ChatError): void {
    this.disconnect();
    this.owner.refused(error);
  }

  /** One to sixty seconds, more after each failure, and not the same for all clients. */
  private delay(): number {
    return Math.min(1_000 * 2 ** this.failures++, 60_000) * (0.5 + Math.random() / 2);
  }

  /** Goes on with another token before this one ends. */
  private async refresh(): Promise<void> {
    const { id } = this.socket;
    for (let wait = 1_000; this.socket.id === id && this.online; wait *= 2) {
      try {
        const token = await this.options.auth();
        await this.request("refresh_token", { token });
        this.token = token;
        return;
      } catch (error) {
        this.owner.problem(chatError(error));
        await pause(wait); // the connection may end with its token: then the next one asks again
      }
    }
  }
}

async function patiently<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const wait = (error as ChatError).retryAfterMs;
      if (wait === undefined) throw error;
      await pause(wait);
    }
  }
}

/** When a token ends, in milliseconds; never, if it does not say or can't be read here. */
function endOf(token: string): number {
  try {
    const { exp } = JSON.parse(atob((token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/")));
    return typeof exp === "number" ? exp * 1_000 : Infinity;
  } catch {
    return typeof atob === "function" ? Infinity : 0;
  }
}
