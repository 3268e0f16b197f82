// What was there before the copy began: the list of conversations, and of each its history, read from the newest message down.
// How far it got is stored together with the messages, so it goes on after any end.
import type { Copy, Extent } from "./copy.js";
import { chatError, pause } from "./error.js";
import type { Link } from "./link.js";
import type { Message } from "./protocol.js";

/** Most that the server gives at once. */
const PAGE = 200;

export class Backfill {
  private readonly extents = new Map<string, Extent>();
  /** Peers of whom the server told while a page of the list was on its way, which may be of before. */
  private readonly newer = new Set<string>();
  private running = false;

  constructor(
    private readonly copy: Copy,
    private readonly link: Link,
    private readonly most: number,
    private readonly problem: (error: unknown) => void,
  ) {}

  async load(): Promise<void> {
    for (const [key, extent] of await this.copy.store.list("h/", "h0")) this.extents.set(key.slice(2), extent as Extent);
  }

  clear(): void {
    this.extents.clear();
  }

  found(peers: Set<string>): void {
    for (const peer of peers) if (!this.extents.has(peer)) this.extents.set(peer, { count: 0 });
  }

  told(peer: string): void {
    this.newer.add(peer);
  }

  /** Reads all that is missing, for as long as there is a connection. */
  async run(): Promise<void> {
    if (this.running) return;
    this.running = true;
    for (let wait = 1_000; this.link.online; wait = Math.min(2 * wait, 30_000)) {
      try {
        if (this.copy.meta.inbox) await this.inbox();
        for (const [peer, extent] of this.extents) {
          while (!this.isEnough(this.extents.get(peer) ?? extent)) await this.more(peer);
        }
        if (![...this.extents.values()].every((extent) => this.isEnough(extent))) continue;
        break;
      } catch (error) {
        if (!this.link.online) break;
        this.problem(chatError(error));
        await pause(wait);
      }
    }
    this.running = false;
  }

  /** Fetches the page of a conversation before what is here; false if there is none. */
  async more(peer: string): Promise<boolean> {
    const { before, done, count } = this.extents.get(peer) ?? { count: 0 };
    if (done) return false;
    const limit = Math.min(PAGE, this.most - count > 0 ? this.most - count : PAGE);
    const path = `/chat/history/${this.copy.meta.me}/${peer}?limit=${limit}`;
    const page = await this.link.get<Message[]>(before ? `${path}&before=${before}` : path);
    const extent: Extent = { count: count + page.length };
    const first = page[0]?._id ?? before;
    if (first) extent.before = first;
    if (page.length < limit) extent.done = true;
    if (this.extents.get(peer)?.before !== before) return true; // another call was faster
    this.extents.set(peer, extent);
    this.copy.put(...page.map((message) => ({ message, old: before !== undefined })), { extent: { peer, extent } });
    await this.copy.stored();
    return true;
  }

  private isEnough({ done, count }: Extent): boolean {
    return done === true || count >= this.most;
  }

  private async inbox(): Promise<void> {
    let cursor: string | undefined;
    do {
      this.newer.clear();
      const page = await this.link.request("conversations", { limit: PAGE, ...(cursor && { cursor }) });
      const news = page.conversations.filter(({ peerId }) => !this.newer.has(peerId));
      this.copy.put(...news.map((conversation) => ({ conversation })));
      await this.copy.stored();
      cursor = page.next;
    } while (cursor);
    this.copy.put({ inbox: false });
    await this.copy.stored();
  }
}
