// Messages that the server has not stored yet. Each is in the store before it is sent, and is sent under the same id until an
// answer says that it is stored, or that it never will be. Those to one receiver are sent one after the other: they keep their order.
import type { Copy } from "./copy.js";
import { ChatError, chatError, pause } from "./error.js";
import { nextId } from "./ids.js";
import type { Link } from "./link.js";

export interface Unsent {
  clientMessageId: string;
  receiverId: string;
  message: string;
  /** When it was written. */
  createdAt: string;
  /** Why the server never stores it. */
  failed?: { code: string; message: string };
}

export interface OutboxLimits {
  /** Most messages that wait to be sent. */
  messages: number;
  /** Most UTF-16 units in all their texts. */
  length: number;
}

/** Receivers to whom something is on its way at once. */
const MOST_RECEIVERS = 16;
/** How often a fault of the server is tried again. */
const MOST_FAULTS = 5;
/** Refusals that are about the connection, not about the message. */
const OF_CONNECTION = ["offline", "no_answer", "shutting_down", "token_expired", "token_revoked", "banned", "disconnected"];

export class Outbox {
  readonly items = new Map<string, Unsent>();
  /** Stored by the server, and not yet in the copy. */
  private readonly done = new Set<string>();
  private readonly busy = new Set<string>();
  private last = "";
  private length = 0;

  constructor(
    private readonly copy: Copy,
    private readonly link: Link,
    private readonly limits: OutboxLimits,
    private readonly changed: (item: Unsent) => void,
  ) {}

  async load(): Promise<void> {
    for (const [, value] of await this.copy.store.list("o/", "o0")) {
      const item = value as Unsent;
      this.items.set(item.clientMessageId, item);
      this.length += item.message.length;
      this.last = item.clientMessageId;
    }
  }

  async add(receiverId: string, message: string): Promise<Unsent> {
    const { messages, length } = this.limits;
    if (this.items.size >= messages || this.length + message.length > length) {
      throw new ChatError({ code: "outbox_full", message: `${this.items.size} messages wait to be sent` });
    }
    const clientMessageId = (this.last = nextId(this.last));
    const item: Unsent = { clientMessageId, receiverId, message, createdAt: new Date().toISOString() };
    this.items.set(clientMessageId, item);
    this.length += message.length;
    try {
      await this.keep(item);
    } catch (error) {
      this.remove(clientMessageId);
      throw error;
    }
    this.changed(item);
    this.pump();
    return item;
  }

  /** Sends one that failed once more, under the same id. */
  async retry(clientMessageId: string): Promise<void> {
    const item = this.items.get(clientMessageId);
    if (!item?.failed) return;
    delete item.failed;
    await this.keep(item);
    this.changed(item);
    this.pump();
  }

  /** Forgets one that failed. What may be stored by the server can't be taken back. */
  async discard(clientMessageId: string): Promise<void> {
    const item = this.items.get(clientMessageId);
    if (!item?.failed) return;
    await this.copy.store.write([[`o/${clientMessageId}`, undefined]]);
    this.remove(clientMessageId);
    this.changed(item);
  }

  /** It is in the copy, as the server has it. */
  remove(clientMessageId: string): Unsent | undefined {
    const item = this.items.get(clientMessageId);
    if (!item) return undefined;
    this.items.delete(clientMessageId);
    this.done.delete(clientMessageId);
    this.length -= item.message.length;
    return item;
  }

  /** All that is not in the copy, for a store that is emptied. */
  entries(): [string, unknown][] {
    return [...this.items].map(([id, item]) => [`o/${id}`, item]);
  }

  /** There is a connection again. What was answered by one before may have been lost on the way into the copy. */
  connected(): void {
    this.done.clear();
    this.pump();
  }

  /** Sends what waits, while there is a connection. */
  pump(): void {
    for (const { receiverId, clientMessageId, failed } of this.items.values()) {
      if (!this.link.online || this.busy.size >= MOST_RECEIVERS) return;
      if (failed || this.done.has(clientMessageId) || this.busy.has(receiverId)) continue;
      this.busy.add(receiverId);
      void this.deliver(receiverId).finally(() => {
        this.busy.delete(receiverId);
        this.pump();
      });
    }
  }

  /** Sends what waits for one receiver, the oldest first. Ends without a connection: the next one begins again. */
  private async deliver(receiverId: string): Promise<void> {
    let faults = 0;
    for (;;) {
      const item = [...this.items.values()].find(
        (item) => item.receiverId === receiverId && !item.failed && !this.done.has(item.clientMessageId),
      );
      if (!item || !this.link.online) return;
      const { clientMessageId, message } = item;
      try {
        await this.link.ask("send_message", { receiverId, message, clientMessageId }, (answer) => {
          this.done.add(clientMessageId);
          this.copy.put({ message: answer.message, clientMessageId });
        });
        faults = 0;
      } catch (thrown) {
        const error = chatError(thrown);
        if (error.retryAfterMs !== undefined) await pause(error.retryAfterMs);
        else if (OF_CONNECTION.includes(error.code)) await pause(100);
        else if (error.code === "internal" && ++faults < MOST_FAULTS) await pause(1_000 * faults);
        else {
          item.failed = { code: error.code, message: error.message };
          await this.keep(item).catch(() => undefined); // it fails again after a restart
          this.changed(item);
        }
      }
    }
  }

  private keep(item: Unsent): Promise<void> {
    return this.copy.store.write([[`o/${item.clientMessageId}`, { ...item }]]);
  }
}
