// A chat client without a user interface. README.md shows how to use it.
export { ChatClient } from "./client.js";
export type { ChatEvents, ChatMessage, ChatOptions, MessageState, Status } from "./client.js";
export { ChatError } from "./error.js";
export { IndexedDbStore } from "./indexeddb.js";
export { MemoryStore } from "./store.js";
export type { Store } from "./store.js";
export type * from "./protocol.js";
export { viewConversation } from "./view.js";
export type { ConversationView } from "./view.js";
