// What a request fails with.
import type { WireError } from "./protocol.js";

/**
 * A request that was refused, with a code of PROTOCOL; or that got no answer: `offline` (there is no connection) or `no_answer`
 * (what became of it is not known).
 */
export class ChatError extends Error {
  readonly code: string;
  /** After how many milliseconds the same request can succeed; `undefined` if waiting does not help. */
  readonly retryAfterMs: number | undefined;
  /** When a ban ends. */
  readonly until: string | undefined;

  constructor({ code, message, retryAfterMs, until }: WireError) {
    super(message);
    this.name = "ChatError";
    this.code = code;
    this.retryAfterMs = retryAfterMs;
    this.until = until;
  }
}

/** Anything that was thrown, as an error with a code. */
export function chatError(error: unknown, code = "failed"): ChatError {
  if (error instanceof ChatError) return error;
  return new ChatError({ code, message: error instanceof Error ? error.message : String(error) });
}

export const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));
