// The transports of the stock client, over a line that can be slow: each packet waits in both directions, and their order stays.
import { WebSocket, XHR } from "./socket.io.esm.min.js";

/** Transports for `io(url, {transports})` whose packets take `line.delay` milliseconds longer each way. */
export const overLine = (line) => [slow(XHR, line), slow(WebSocket, line)];

function slow(Transport, line) {
  return class extends Transport {
    #free = 0;

    onPacket(packet) {
      const now = performance.now();
      this.#free = Math.max(this.#free, now + line.delay);
      if (this.#free <= now) return super.onPacket(packet);
      setTimeout(() => super.onPacket(packet), this.#free - now);
    }

    write(packets) {
      if (line.delay === 0) return super.write(packets);
      // Or the client would hand the same packets over once more meanwhile.
      this.writable = false;
      setTimeout(() => super.write(packets), line.delay);
    }
  };
}
