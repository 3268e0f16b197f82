// One conversation as a list that stays as it should be: what a screen shows.
import type { ChatClient, ChatMessage } from "./client.js";

/** `subscribe` and `get` are what React's `useSyncExternalStore` takes. */
export interface ConversationView {
  /** The newest messages, oldest first. A new list whenever something changed, else the same one. */
  get: () => ChatMessage[];
  subscribe: (listener: () => void) => () => void;
  /** Shows older messages, too; false if there are none. */
  older: () => Promise<boolean>;
  /** Ends the following. */
  close: () => void;
}

/** Follows the conversation with a peer, `page` messages at first and more with each `older`. */
export function viewConversation(client: ChatClient, peerId: string, page = 50): ConversationView {
  const listeners = new Set<() => void>();
  let messages: ChatMessage[] = [];
  let limit = page;
  let reading: Promise<void> | undefined;
  let stale = false;

  const read = () => {
    stale = true;
    return (reading ??= (async () => {
      while (stale) {
        stale = false;
        messages = await client.messages(peerId, { limit });
        for (const listener of [...listeners]) listener();
      }
    })().finally(() => (reading = undefined)));
  };
  const changed = (change: { peerId: string }) => {
    if (change.peerId === peerId) void read();
  };
  const ends = [client.on("messages", changed), client.on("receipts", changed), client.on("reset", () => void read())];
  void read();
  return {
    get: () => messages,
    subscribe: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    older: async () => {
      const before = messages.length;
      limit = before + page;
      await read();
      return messages.length > before;
    },
    close: () => ends.forEach((end) => end()),
  };
}
