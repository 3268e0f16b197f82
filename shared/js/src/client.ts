// The client that an app uses: it puts link, copy and outbox together, and says what changed.
import { Backfill } from "./backfill.js";
import { Copy, peerOf, placeOf, type Changes, type Marks, type Stored } from "./copy.js";
import { Emitter } from "./emitter.js";
import { ChatError, chatError } from "./error.js";
import { Link, type LinkOptions } from "./link.js";
import { Outbox, type OutboxLimits, type Unsent } from "./outbox.js";
import type {
  Conversation,
  Message,
  Presence,
  Receipt,
  Settings,
  SettingsChange,
  SyncDone,
  SyncEvent,
  Typing,
} from "./protocol.js";
import { Receipts } from "./receipts.js";
import { MemoryStore, type Store } from "./store.js";

/** Bytes that may wait to be stored before the connection is left until they are. */
const MOST_WAITING = 4 << 20;
/** How often it is said that the user goes on typing, which holds for six seconds. */
const TYPING_MS = 3_000;

export interface ChatOptions extends LinkOptions {
  /** Where the copy is kept: for one user, and for one client at a time. In memory unless it is given. */
  store?: Store;
  /** How many messages of each conversation are fetched that were there before the copy began; all of them if absent. */
  history?: number;
  /** Whether senders are told that their messages are here as soon as they are stored. True unless it is given. */
  confirm?: boolean;
  /** What may wait to be sent: 1,000 messages of 4 million characters in all, unless it is given. */
  outbox?: Partial<OutboxLimits>;
}

/** `queued` is not stored by the server yet, `sent` is; `failed` never will be. */
export type MessageState = "queued" | "sent" | "delivered" | "read" | "failed";

/** A message as an app shows it. */
export interface ChatMessage {
  /** Names the message for as long as the app lives, also while it is queued and after. */
  key: string;
  /** The server's id, once it has one. */
  id?: string;
  peerId: string;
  /** Whether this user wrote it. */
  own: boolean;
  text: string;
  /** When the server took it; before that, when it was written. */
  createdAt: string;
  /** Of the user's own messages what became of it; `sent` for all others. */
  state: MessageState;
  /** Why it failed. */
  error?: { code: string; message: string };
}

export interface Status {
  /** `refused` lasts until `connect` is called again. */
  state: "offline" | "connecting" | "online" | "refused";
  /** Whether everything that happened since the copy began is in it. What was before that is fetched afterwards. */
  complete: boolean;
  /** Why it was refused. */
  error?: ChatError;
}

export interface ChatEvents {
  status: Status;
  /** Messages that came, or that changed. */
  messages: { peerId: string; messages: ChatMessage[] };
  /** The peer has received or read more: the states of the user's own messages. */
  receipts: { peerId: string };
  conversations: Conversation[];
  presence: Presence;
  typing: Typing;
  settings: Settings;
  /** The server has another database, or an older state of it: the copy begins anew. */
  reset: string;
  /** Work in the background failed; it is tried again. */
  problem: ChatError;
}

export class ChatClient extends Emitter<ChatEvents> {
  status: Status = { state: "offline", complete: false };
  private readonly copy: Copy;
  private readonly link: Link;
  private readonly outbox: Outbox;
  private readonly receipts: Receipts;
  private readonly backfill: Backfill;
  private readonly followed = new Set<string>();
  private readonly typists = new Set<string>();
  private readonly told = new Map<string, number>();
  private loaded: Promise<void> | undefined;
  /** Whether `GET /users/me` has said who the token is of. */
  private known = false;
  private connections = 0;

  constructor(options: ChatOptions) {
    super();
    this.copy = new Copy(
      options.store ?? new MemoryStore(),
      (changes) => this.changed(changes),
      (error) => this.stopped(chatError(error, "store")),
      options.confirm ?? true,
    );
    this.link = new Link(options, {
      since: () => this.copy.meta.cursor,
      ready: () => this.identify(),
      online: () => this.online(),
      offline: () => this.offline(),
      refused: (error) => this.stopped(error),
      problem: (error) => this.emit("problem", error),
      event: (name, payload, cursor) => this.event(name, payload, cursor),
    });
    const problem = (error: unknown) => this.emit("problem", chatError(error));
    this.outbox = new Outbox(this.copy, this.link, { messages: 1_000, length: 4e6, ...options.outbox }, (item) =>
      this.emit("messages", { peerId: item.receiverId, messages: [this.unsent(item)] }),
    );
    this.receipts = new Receipts(this.copy, this.link, problem);
    this.backfill = new Backfill(this.copy, this.link, options.history ?? Infinity, problem);
  }

  /** The id of the user; `undefined` before the first connection. */
  get userId(): string | undefined {
    return this.copy.meta.me;
  }

  get settings(): Settings | undefined {
    return this.copy.meta.settings;
  }

  /** Opens the copy, which can be read from then on, and begins to connect. */
  async connect(): Promise<void> {
    await this.open();
    if (this.link.online) return;
    this.copy.resume();
    this.set({ state: "connecting", complete: false });
    this.link.connect();
  }

  /** Opens the copy only: what is there can be read, and what is sent waits. */
  open(): Promise<void> {
    return (this.loaded ??= (async () => {
      await this.copy.load();
      await this.outbox.load();
      await this.receipts.load();
      await this.backfill.load();
    })());
  }

  /** Leaves, stores what came, and closes the store. Begin with a new client afterwards. */
  async close(): Promise<void> {
    this.link.disconnect();
    this.set({ state: "offline", complete: false });
    await this.copy.stored();
    await this.copy.store.close?.();
  }

  /** Writes a message, and resolves once it can't be lost any more; it is sent as soon as there is a connection. */
  async send(peerId: string, text: string): Promise<ChatMessage> {
    await this.open();
    return this.unsent(await this.outbox.add(peerId, text));
  }

  /** Sends a message that failed once more. */
  retry(key: string): Promise<void> {
    return this.outbox.retry(key);
  }

  /** Forgets a message that failed. */
  discard(key: string): Promise<void> {
    return this.outbox.discard(key);
  }

  /**
   * Messages with a peer, oldest first: the newest ones with all that is not sent yet, or the ones before a message. Fewer than
   * `limit` means that there are no more; what the copy does not have is fetched, if that can be done now.
   */
  async messages(peerId: string, { before, limit = 50 }: { before?: ChatMessage; limit?: number } = {}): Promise<ChatMessage[]> {
    await this.open();
    const end = before?.id ? `m/${peerId}/${before.createdAt}/${before.id}` : `m/${peerId}0`;
    const read = () => this.copy.store.list(`m/${peerId}/`, end, limit, true);
    let found = await read();
    while (found.length < limit && this.link.online && (await this.backfill.more(peerId).catch(() => false))) found = await read();
    const [marks] = (await this.copy.store.get([`w/${peerId}`])) as [Marks | undefined];
    const stored = found.reverse().map(([, value]) => this.stored(value as Stored, marks));
    if (before) return stored;
    const waiting = [...this.outbox.items.values()].filter(({ receiverId }) => receiverId === peerId);
    return [...stored, ...waiting.map((item) => this.unsent(item))];
  }

  /** All conversations, the one with the newest message first. */
  async conversations(): Promise<Conversation[]> {
    await this.open();
    const all = (await this.copy.store.list("r/", "r0")).map(([, value]) => value as Conversation);
    const time = ({ lastMessage: last }: Conversation) => (last ? placeOf(last) : "");
    return all.sort((a, b) => (time(a) < time(b) ? 1 : -1));
  }

  /** How many messages wait to be read, in all. A conversation counts 1,000 at most. */
  async unread(): Promise<number> {
    return (await this.conversations()).reduce((sum, { unread }) => sum + unread, 0);
  }

  /** Says that this message of a peer was seen, and all before it. Without a connection it is said later. */
  async markRead({ peerId, id, createdAt }: ChatMessage): Promise<void> {
    if (id) await this.receipts.mark(peerId, "read", `${createdAt}/${id}`);
  }

  /** The same of having received it; needed with `confirm: false` only. */
  async markDelivered({ peerId, id, createdAt }: ChatMessage): Promise<void> {
    if (id) await this.receipts.mark(peerId, "delivered", `${createdAt}/${id}`);
  }

  /** Says whether the user types. Call it as often as you like. */
  typing(peerId: string, isTyping: boolean): void {
    const told = this.told.get(peerId);
    if (isTyping ? told !== undefined && Date.now() < told + TYPING_MS : told === undefined) return;
    if (isTyping) this.told.set(peerId, Date.now());
    else this.told.delete(peerId);
    this.link.ask("typing", { receiverId: peerId, isTyping }).catch(() => undefined); // the next one is soon
  }

  /** Follows the presence of users, over all connections: how it is now, and then the event `presence`. */
  async follow(userIds: string[]): Promise<Presence[]> {
    const { presence } = await this.link.request("subscribe_presence", { userIds });
    for (const id of userIds) this.followed.add(id);
    return presence;
  }

  async unfollow(userIds: string[]): Promise<void> {
    for (const id of userIds) this.followed.delete(id);
    if (this.link.online) await this.link.request("unsubscribe_presence", { userIds });
  }

  async updateSettings(change: SettingsChange): Promise<Settings> {
    const { settings } = await this.link.request("update_settings", change);
    this.copy.put({ settings });
    return settings;
  }

  private set(status: Status): void {
    this.status = status;
    this.emit("status", status);
  }

  private async identify(): Promise<void> {
    if (this.known) return;
    const { _id: me } = await this.link.get<{ _id: string }>("/users/me");
    const known = this.copy.meta.me;
    if (known && known !== me) {
      const error = new ChatError({ code: "other_user", message: `this copy is of ${known}, and the token of ${me}` });
      this.link.disconnect();
      this.stopped(error);
      throw error;
    }
    this.copy.meta.me = me;
    this.known = true;
  }

  private online(): void {
    this.connections += 1;
    this.set({ state: "online", complete: false });
    this.outbox.connected();
    this.receipts.pump();
    const userIds = [...this.followed];
    if (!userIds.length) return;
    this.link.request("subscribe_presence", { userIds }).then(
      ({ presence }) => presence.forEach((one) => this.emit("presence", one)),
      (error) => this.emit("problem", chatError(error)),
    );
  }

  private offline(): void {
    this.connections += 1;
    this.told.clear();
    if (this.status.state === "online") this.set({ state: "connecting", complete: false });
    // Nobody says any more when they stop.
    for (const userId of this.typists) this.emit("typing", { userId, isTyping: false });
    this.typists.clear();
  }

  private stopped(error: ChatError): void {
    this.link.disconnect();
    this.set({ state: "refused", complete: false, error });
  }

  private event(name: string, payload: unknown, at?: string): void {
    // A cursor is worth nothing while older changes are missing.
    const cursor = this.status.complete && at !== undefined ? { cursor: at } : {};
    if (name === "message_sent" || name.startsWith("receive_message_")) {
      this.copy.put({ message: payload as Message, ...cursor });
    } else if (name === "messages_delivered" || name === "messages_read") {
      const { userId: peer, upTo, at } = payload as Receipt;
      const kind = name === "messages_read" ? "read" : "delivered";
      this.copy.put({ receipt: { peer, kind, upTo, at }, ...cursor });
    } else if (name === "conversation_updated") {
      const conversation = payload as Conversation;
      this.backfill.told(conversation.peerId);
      this.copy.put({ conversation, ...cursor });
    } else if (name === "settings_updated") this.copy.put({ settings: payload as Settings, ...cursor });
    else if (name === "sync_done") void this.catchUp(payload as SyncDone);
    else if (name === "sync_reset") void this.reset((payload as { message: string }).message);
    else if (name === "presence") this.emit("presence", payload as Presence);
    else if (name === "typing") {
      const typing = payload as Typing;
      if (typing.isTyping) this.typists.add(typing.userId);
      else this.typists.delete(typing.userId);
      this.emit("typing", typing);
    }
    // Faster than the store takes it: the server keeps the rest until that is done.
    if (this.copy.waiting > MOST_WAITING && this.link.online) {
      this.link.disconnect();
      void this.copy.stored().then(() => this.status.state === "connecting" && this.link.connect());
    }
  }

  /** Asks for what is more than the server sends by itself. */
  private async catchUp({ next, hasMore }: SyncDone): Promise<void> {
    const connection = this.connections;
    // The first cursor of a copy: the list of conversations is of before it.
    const inbox = !this.copy.meta.cursor || hasMore;
    this.copy.put({ cursor: next, ...(inbox && { inbox }) });
    try {
      while (hasMore) {
        const page = await this.link.request("sync", { since: next });
        if (connection !== this.connections) return;
        ({ next, hasMore } = page);
        this.page(page.events);
        this.copy.put({ cursor: next });
        await this.copy.stored();
      }
      if (connection !== this.connections) return;
      this.set({ state: "online", complete: true });
      await this.copy.stored();
      await this.backfill.run();
    } catch (error) {
      const failed = chatError(error);
      if (failed.code === "sync_reset") return this.reset(failed.message);
      if (connection !== this.connections) return; // the next one catches up by itself
      this.emit("problem", failed);
      this.link.again();
    }
  }

  private page(events: SyncEvent[]): void {
    const { me } = this.copy.meta;
    for (const event of events) {
      if (event.type === "message") this.copy.put({ message: event.message });
      else if (event.type === "settings") this.copy.put({ settings: event.settings });
      else if (event.userId !== me) {
        const kind = event.type === "messages_read" ? "read" : "delivered";
        this.copy.put({ receipt: { peer: event.userId, kind, upTo: event.upTo, at: event.at } });
      }
    }
  }

  private async reset(message: string): Promise<void> {
    this.link.disconnect();
    this.set({ state: "connecting", complete: false });
    try {
      await this.copy.reset(this.outbox.entries());
      this.receipts.clear();
      this.backfill.clear();
      this.emit("reset", message);
      this.link.connect();
    } catch (error) {
      this.stopped(chatError(error, "store"));
    }
  }

  private changed(changes: Changes): void {
    this.receipts.add(changes.due);
    this.backfill.found(changes.fresh);
    for (const id of changes.sent) this.outbox.remove(id);
    this.tell(changes).catch((error) => this.emit("problem", chatError(error)));
    if (this.status.complete && changes.fresh.size) void this.backfill.run();
  }

  private async tell(changes: Changes): Promise<void> {
    for (const [peerId, messages] of changes.messages) {
      const [marks] = (await this.copy.store.get([`w/${peerId}`])) as [Marks | undefined];
      this.emit("messages", { peerId, messages: messages.map((one) => this.stored(one, marks)) });
    }
    for (const peerId of changes.receipts) this.emit("receipts", { peerId });
    if (changes.conversations.length) this.emit("conversations", changes.conversations);
    if (changes.settings) this.emit("settings", changes.settings);
  }

  private stored({ message, clientMessageId }: Stored, marks: Marks = {}): ChatMessage {
    const me = this.copy.meta.me ?? "";
    const own = message.sender === me;
    const place = placeOf(message);
    const reached = (mark: string | undefined) => own && (message.receiver === me || (mark !== undefined && place <= mark));
    return {
      key: clientMessageId ?? message._id,
      id: message._id,
      peerId: peerOf(message, me),
      own,
      text: message.message ?? "",
      createdAt: message.createdAt ?? "",
      state: reached(marks.read) ? "read" : reached(marks.delivered) ? "delivered" : "sent",
    };
  }

  private unsent({ clientMessageId, receiverId, message, createdAt, failed }: Unsent): ChatMessage {
    return {
      key: clientMessageId,
      peerId: receiverId,
      own: true,
      text: message,
      createdAt,
      state: failed ? "failed" : "queued",
      ...(failed && { error: failed }),
    };
  }
}
