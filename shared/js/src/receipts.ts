// Telling the server what was received and read. What is to be told is in the copy until the server has it.
import { idOf, type Copy, type Kind, type Marks } from "./copy.js";
import { chatError, pause } from "./error.js";
import type { Link } from "./link.js";

export class Receipts {
  private readonly due = new Map<string, Marks>();
  private running = false;

  constructor(
    private readonly copy: Copy,
    private readonly link: Link,
    private readonly problem: (error: unknown) => void,
  ) {}

  async load(): Promise<void> {
    this.add((await this.copy.store.list("k/", "k0")).map(([key, marks]) => [key.slice(2), marks as Marks]));
  }

  clear(): void {
    this.due.clear();
  }

  /** What the copy has noted. */
  add(due: Iterable<[peer: string, marks: Marks]>): void {
    for (const [peer, marks] of due) this.due.set(peer, marks);
    this.pump();
  }

  /** Resolves once it can't be lost any more. */
  mark(peer: string, kind: Kind, place: string): Promise<void> {
    this.copy.put({ due: { peer, kind, place } });
    return this.copy.stored();
  }

  pump(): void {
    if (this.running) return;
    this.running = true;
    void this.run().finally(() => (this.running = false));
  }

  private async run(): Promise<void> {
    for (;;) {
      const [next] = this.due;
      if (!next || !this.link.online) return;
      const [peer, marks] = next;
      const { delivered = "", read = "" } = marks;
      try {
        // To have read is to have received.
        if (delivered > read) await this.link.request("mark_delivered", { peerId: peer, upTo: idOf(delivered) });
        if (read) await this.link.request("mark_read", { peerId: peer, upTo: idOf(read) });
      } catch (error) {
        const { code } = chatError(error);
        if (!this.link.online || code === "offline") return;
        if (code === "no_answer") continue;
        this.problem(error);
        if (code !== "message_not_found") {
          await pause(5_000);
          continue;
        }
      }
      if (this.due.get(peer) !== marks) continue; // there is more meanwhile
      this.due.delete(peer);
      this.copy.put({ told: { peer, marks } });
    }
  }
}
