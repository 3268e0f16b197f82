// The copy: what the server told goes into the store in the order in which it came, together with the cursor after it. So the
// cursor never says more than what is stored.
import type { Conversation, Message, Settings } from "./protocol.js";
import type { Store } from "./store.js";

/*
 * The keys of the store:
 *   meta          who the copy is of, up to which cursor, the settings            (Meta)
 *   m/PEER/PLACE  a message; PLACE is its createdAt/_id, which is its order       (Stored)
 *   i/ID          where the message of this id is                                 (Found)
 *   r/PEER        the conversation as the server told it last                     (Conversation)
 *   w/PEER        how far the peer has received and read                          (Marks)
 *   h/PEER        how far back the copy goes                                      (Extent)
 *   k/PEER        what the server is still to be told that was received and read  (Marks)
 *   o/ID          a message that the server has not stored yet                    (Unsent)
 */

export interface Meta {
  me?: string;
  cursor: string;
  settings?: Settings;
  /** The list of conversations is to be read anew: not every change of it was sent. */
  inbox?: boolean;
}

export interface Stored {
  message: Message;
  /** Of a message that this client sent. */
  clientMessageId?: string;
}

export type Found = [key: string, updatedAt: string, clientMessageId?: string];

export type Kind = "delivered" | "read";

/** Places up to which something holds. `waiting` are ids of messages that are not in the copy yet, with the time of the mark. */
export interface Marks {
  delivered?: string;
  read?: string;
  waiting?: { [kind in Kind]?: [upTo: string, at: string] };
}

/** The messages before `before` are not in the copy, unless it is `done`. */
export interface Extent {
  before?: string;
  done?: boolean;
  count: number;
}

/** One thing that the server told. */
export interface News {
  message?: Message;
  /** This client sent the message under that id. */
  clientMessageId?: string;
  /** It was there before: a device that reads it now need not say so. */
  old?: boolean;
  receipt?: { peer: string; kind: Kind; upTo: string; at: string };
  conversation?: Conversation;
  settings?: Settings;
  cursor?: string;
  inbox?: boolean;
  extent?: { peer: string; extent: Extent };
  /** What the server is to be told. */
  due?: { peer: string; kind: Kind; place: string };
  /** It was told this. */
  told?: { peer: string; marks: Marks };
}

/** What changed in the store, by the ids of peers. */
export interface Changes {
  messages: Map<string, Stored[]>;
  receipts: Set<string>;
  conversations: Conversation[];
  settings?: Settings;
  /** What the server is to be told of a peer now. */
  due: Map<string, Marks>;
  /** Peers of whom messages are here, and not yet all. */
  fresh: Set<string>;
  /** What was sent and is stored by the server now. */
  sent: string[];
}

/** How many bytes of memory it takes, about. */
const sizeOf = ({ message, conversation }: News) =>
  400 + 2 * ((message?.message?.length ?? 0) + (conversation?.lastMessage?.message?.length ?? 0));

export const placeOf = (message: Message) => `${message.createdAt ?? ""}/${message._id}`;
export const idOf = (place: string) => place.slice(place.indexOf("/") + 1);
export const peerOf = (message: Message, me: string) =>
  (message.sender === me ? message.receiver : message.sender) ?? "";

export class Copy {
  meta: Meta = { cursor: "" };
  /** About how many bytes wait to be stored. */
  waiting = 0;
  private queue: News[] = [];
  private running: Promise<void> | undefined;
  private ended = false;

  constructor(
    readonly store: Store,
    private readonly changed: (changes: Changes) => void,
    private readonly failed: (error: unknown) => void,
    /** Whether the server is told of each message that it is here. */
    private readonly confirm: boolean,
  ) {}

  async load(): Promise<void> {
    const [meta] = (await this.store.get(["meta"])) as [Meta | undefined];
    if (meta) this.meta = meta;
  }

  /** Begins again after a failure of the store, with what is stored. */
  resume(): void {
    this.ended = false;
  }

  /** Takes news; they are stored soon, in this order. */
  put(...news: News[]): void {
    if (this.ended) return;
    for (const one of news) {
      this.queue.push(one);
      this.waiting += sizeOf(one);
    }
    this.running ??= this.run();
  }

  /** Resolves once all that was put before is stored; or could not be. */
  async stored(): Promise<void> {
    await this.running;
  }

  /** Makes it empty, but for what was not sent. What waits belongs to what is gone. */
  async reset(entries: [string, unknown][]): Promise<void> {
    this.ended = true;
    await this.running;
    this.forget();
    this.meta = { ...(this.meta.me && { me: this.meta.me }), cursor: "", inbox: true };
    await this.store.write([["meta", this.meta], ...entries], true);
    this.ended = false;
  }

  private async run(): Promise<void> {
    await undefined; // what comes together is stored together
    try {
      while (this.queue.length && !this.ended) {
        const batch = this.queue.splice(0, 500);
        const changes = await this.apply(batch);
        for (const one of batch) this.waiting -= sizeOf(one);
        this.changed(changes);
      }
    } catch (error) {
      // Nothing after this may be stored, or the cursor would be beyond what is missing.
      this.ended = true;
      this.forget();
      this.failed(error);
    } finally {
      this.running = undefined;
    }
  }

  private forget(): void {
    this.queue = [];
    this.waiting = 0;
  }

  private async apply(batch: News[]): Promise<Changes> {
    const me = this.meta.me ?? "";
    const changes: Changes = {
      messages: new Map(),
      receipts: new Set(),
      conversations: [],
      due: new Map(),
      fresh: new Set(),
      sent: [],
    };
    const now = await this.read(batch, me);
    const meta: Partial<Meta> = {};
    const write = new Map<string, unknown>();
    const set = (key: string, value: unknown) => {
      now.set(key, value);
      write.set(key, value);
    };
    const mark = (peer: string, kind: Kind, upTo: string | undefined, at: string) => {
      if (!upTo || peer === me) return;
      const marks = { ...(now.get(`w/${peer}`) as Marks | undefined) };
      const found = now.get(`i/${upTo}`) as Found | undefined;
      if (found?.[0].startsWith(`m/${peer}/`)) {
        const place = found[0].slice(`m/${peer}/`.length);
        if (place <= (marks[kind] ?? "")) return;
        marks[kind] = place;
        if (marks.waiting?.[kind]?.[0] === upTo) marks.waiting = { ...marks.waiting, [kind]: undefined };
        changes.receipts.add(peer);
      } else {
        const known = marks.waiting?.[kind];
        if (known && known[1] >= at) return;
        marks.waiting = { ...marks.waiting, [kind]: [upTo, at] };
      }
      set(`w/${peer}`, marks);
    };

    const due = (peer: string, kind: Kind, place: string) => {
      const marks = now.get(`k/${peer}`) as Marks | undefined;
      if (place <= (marks?.[kind] ?? "")) return;
      set(`k/${peer}`, { ...marks, [kind]: place });
      changes.due.set(peer, now.get(`k/${peer}`) as Marks);
    };

    for (const one of batch) {
      if (one.message) {
        const { message } = one;
        const peer = peerOf(message, me);
        const place = placeOf(message);
        const found = now.get(`i/${message._id}`) as Found | undefined;
        const clientMessageId = one.clientMessageId ?? found?.[2];
        if (one.clientMessageId) {
          write.set(`o/${one.clientMessageId}`, undefined);
          changes.sent.push(one.clientMessageId);
        }
        // It can come twice, live and in a page, and the older version last.
        const older = found && found[1] > (message.updatedAt ?? "");
        const same = found && found[1] === (message.updatedAt ?? "") && clientMessageId === found[2];
        if (!older && !same) {
          const key = `m/${peer}/${place}`;
          if (found && found[0] !== key) write.set(found[0], undefined);
          const stored: Stored = { message, ...(clientMessageId && { clientMessageId }) };
          write.set(key, stored);
          set(`i/${message._id}`, [key, message.updatedAt ?? "", clientMessageId]);
          changes.messages.set(peer, [...(changes.messages.get(peer) ?? []), stored]);
          const { waiting } = (now.get(`w/${peer}`) ?? {}) as Marks;
          for (const kind of ["delivered", "read"] as const) {
            if (waiting?.[kind]?.[0] === message._id) mark(peer, kind, message._id, "");
          }
        }
        if (this.confirm && !found && !one.old && message.sender !== me && peer) {
          due(peer, "delivered", place);
        }
        this.know(peer, now, set, changes);
      }
      if (one.receipt) mark(one.receipt.peer, one.receipt.kind, one.receipt.upTo, one.receipt.at);
      if (one.conversation) {
        const { peerId, peerReadUpTo, peerDeliveredUpTo } = one.conversation;
        set(`r/${peerId}`, one.conversation);
        mark(peerId, "delivered", peerDeliveredUpTo, "");
        mark(peerId, "read", peerReadUpTo, "");
        changes.conversations.push(one.conversation);
        this.know(peerId, now, set, changes);
      }
      if (one.settings && one.settings.version >= ((meta.settings ?? this.meta.settings)?.version ?? 0)) {
        changes.settings = meta.settings = one.settings;
      }
      if (one.due) due(one.due.peer, one.due.kind, one.due.place);
      if (one.told) {
        const { peer, marks } = one.told;
        const noted = (now.get(`k/${peer}`) ?? {}) as Marks;
        if (noted.delivered === marks.delivered && noted.read === marks.read) set(`k/${peer}`, undefined);
      }
      if (one.extent) set(`h/${one.extent.peer}`, one.extent.extent);
      if (one.inbox !== undefined) meta.inbox = one.inbox;
      if (one.cursor !== undefined) meta.cursor = one.cursor;
    }
    await this.store.write([["meta", { ...this.meta, ...meta }], ...write]);
    Object.assign(this.meta, meta);
    return changes;
  }

  /** A peer who is new here has a past that is not in the copy yet. */
  private know(
    peer: string,
    now: Map<string, unknown>,
    set: (key: string, value: unknown) => void,
    changes: Changes,
  ): void {
    if (!peer || now.get(`h/${peer}`)) return;
    const extent: Extent = { count: 0 };
    set(`h/${peer}`, extent);
    changes.fresh.add(peer);
  }

  /** All that the store has and the batch touches, by key. */
  private async read(batch: News[], me: string): Promise<Map<string, unknown>> {
    const keys = new Set<string>();
    const peers = new Set<string>();
    for (const { message, receipt, conversation, due, told } of batch) {
      for (const mark of [due, told]) if (mark) peers.add(mark.peer);
      if (message) {
        keys.add(`i/${message._id}`);
        peers.add(peerOf(message, me));
      }
      if (receipt) {
        keys.add(`i/${receipt.upTo}`);
        peers.add(receipt.peer);
      }
      if (conversation) {
        peers.add(conversation.peerId);
        for (const id of [conversation.peerReadUpTo, conversation.peerDeliveredUpTo]) if (id) keys.add(`i/${id}`);
      }
    }
    for (const peer of peers) for (const kind of ["w", "h", "k"]) keys.add(`${kind}/${peer}`);
    const all = [...keys];
    const values = await this.store.get(all);
    return new Map(all.map((key, index) => [key, values[index]]));
  }
}
