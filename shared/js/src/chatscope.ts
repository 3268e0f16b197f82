// For @chatscope/chat-ui-kit-react: a conversation, and the list of them, as its components take them.
import type { ConversationProps, MessageModel } from "@chatscope/chat-ui-kit-react";
import type { ChatClient, ChatMessage } from "./client.js";
import type { Conversation } from "./protocol.js";
import { viewConversation, type ConversationView } from "./view.js";

/** What stands under one's own message. */
export const TICKS = { queued: "…", sent: "✓", delivered: "✓✓", read: "✓✓ read", failed: "not sent" };

/** `<Message key={key} model={model}><Message.Footer sentTime={footer} /></Message>`. */
export function toChatscope(message: ChatMessage): { key: string; model: MessageModel; footer: string } {
  return {
    key: message.key,
    model: {
      message: message.text,
      type: "text", // its default shows HTML, and whoever writes would choose what the reader's page does
      sentTime: message.createdAt,
      sender: message.own ? "me" : message.peerId,
      direction: message.own ? "outgoing" : "incoming",
      position: "single",
    },
    footer: message.own ? TICKS[message.state] : "",
  };
}

/** `<Conversation {...props} />`. */
export function toChatscopeConversation({ peerId, peer, lastMessage, unread }: Conversation): ConversationProps {
  return {
    name: peer?.username ?? peerId,
    info: lastMessage?.message ?? "",
    ...(lastMessage?.createdAt && { lastActivityTime: new Date(lastMessage.createdAt).toLocaleTimeString() }),
    unreadCnt: unread,
  };
}

/** The conversation with a peer: `useSyncExternalStore(it.view.subscribe, it.view.get)`, then the functions. */
export function chatscopeConversation(client: ChatClient, peerId: string) {
  const view: ConversationView = viewConversation(client, peerId);
  return {
    view,
    messages: () => view.get().map(toChatscope),
    /** For `<MessageInput onSend={send} />`, whose second text has no markup. */
    send: (_html: string, text: string) => void client.send(peerId, text),
    /** For `<MessageInput onChange={typing} />`. */
    typing: () => client.typing(peerId, true),
    /** For `<MessageList onYReachStart={older} />`. */
    older: () => void view.older(),
  };
}
