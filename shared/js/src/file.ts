// A store in one file, for Node.js. It holds all of it in memory, too: for programs, bots and tests.
import { open, rename, type FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { MemoryStore } from "./store.js";

/** The file is written anew when it has grown to twice what it holds, and to this many bytes. */
const LEAST_BYTES = 1 << 20;

/**
 * Keeps the copy in a file of lines: each line is one `write`, `[clear, entries]`, and is on the disk before `write` resolves. A
 * line that a crash cut off was never reported as written, and is taken off again.
 */
export class FileStore extends MemoryStore {
  private file: FileHandle | undefined;
  private length = 0;
  /** How many bytes a new file would have. */
  private compact = 0;
  /** What was asked before, so that one thing is done at a time. */
  private last: Promise<unknown>;

  constructor(private readonly path: string) {
    super();
    this.last = this.open();
    this.last.catch(() => undefined); // whoever reads or writes is told
  }

  override async get(keys: string[]): Promise<unknown[]> {
    return this.next(() => super.get(keys));
  }

  override async list(from: string, to: string, limit?: number, backwards?: boolean): Promise<[string, unknown][]> {
    return this.next(() => super.list(from, to, limit, backwards));
  }

  override async write(entries: [string, unknown][], clear = false): Promise<void> {
    return this.next(async () => {
      const line = `${JSON.stringify([clear, entries.map(([key, value]) => [key, value ?? null])])}\n`;
      await this.append(line);
      this.apply(entries, clear);
      if (this.length > LEAST_BYTES && this.length > 2 * this.compact) await this.rewrite();
    });
  }

  async close(): Promise<void> {
    return this.next(async () => {
      await this.file?.close();
      this.file = undefined;
    });
  }

  /** Runs one thing after what was asked before it; a failure is of that thing only, unless the file could not be opened. */
  private next<T>(work: () => Promise<T>): Promise<T> {
    const result = this.last.then(work);
    this.last = result.catch((error) => {
      if (!this.file) throw error;
    });
    this.last.catch(() => undefined);
    return result;
  }

  private async open(): Promise<void> {
    this.file = await open(this.path, "a+");
    const bytes = await this.file.readFile();
    const whole = bytes.lastIndexOf(10) + 1;
    for (const line of bytes.toString("utf8", 0, whole).split("\n")) {
      if (!line) continue;
      const [clear, entries] = JSON.parse(line) as [boolean, [string, unknown][]];
      this.apply(
        entries.map(([key, value]) => [key, value ?? undefined]),
        clear,
      );
    }
    if (whole < bytes.length) await this.file.truncate(whole);
    this.length = whole;
    this.compact = Buffer.byteLength(this.whole());
  }

  private async append(line: string): Promise<void> {
    if (!this.file) throw new Error(`${this.path} is closed`);
    try {
      await this.file.appendFile(line);
      await this.file.datasync();
      this.length += Buffer.byteLength(line);
    } catch (error) {
      // A part of the line may be there: nothing may follow it.
      await this.file.truncate(this.length).catch(() => (this.file = undefined));
      throw error;
    }
  }

  /** The one line that a new file has. */
  private whole(): string {
    return `${JSON.stringify([true, this.all()])}\n`;
  }

  /** The new file takes the place of the old one in one step. */
  private async rewrite(): Promise<void> {
    const line = this.whole();
    const file = await open(`${this.path}.new`, "w");
    await file.writeFile(line);
    await file.datasync();
    await file.close();
    await rename(`${this.path}.new`, this.path);
    const folder = await open(dirname(this.path), "r");
    await folder.sync();
    await folder.close();
    await this.file?.close();
    this.file = await open(this.path, "a");
    this.length = this.compact = Buffer.byteLength(line);
  }
}
