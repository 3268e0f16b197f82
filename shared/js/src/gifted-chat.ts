// For react-native-gifted-chat: a conversation as its component takes it.
import type { IMessage, User } from "react-native-gifted-chat";
import type { ChatClient, ChatMessage } from "./client.js";
import { viewConversation, type ConversationView } from "./view.js";

/** One message. `user` says how a peer is shown; the user's own messages have the id of `client.userId`. */
export function toGifted(message: ChatMessage, me: string, user: (peerId: string) => User): IMessage {
  return {
    _id: message.key,
    text: message.text,
    createdAt: new Date(message.createdAt),
    user: message.own ? { _id: me } : user(message.peerId),
    pending: message.state === "queued",
    sent: message.own && ["sent", "delivered", "read"].includes(message.state),
    received: message.own && ["delivered", "read"].includes(message.state),
  };
}

/** What `<GiftedChat {...props} />` needs, and the view behind it. Render again whenever the view says so. */
export interface GiftedConversation {
  view: ConversationView;
  props: () => { messages: IMessage[]; user: User; onSend: (messages: IMessage[]) => void };
}

/** The conversation with a peer: `useSyncExternalStore(it.view.subscribe, it.view.get)`, then `it.props()`. */
export function giftedConversation(
  client: ChatClient,
  peerId: string,
  user: (peerId: string) => User = (_id) => ({ _id }),
): GiftedConversation {
  const view = viewConversation(client, peerId);
  return {
    view,
    props: () => ({
      // It takes the newest one first.
      messages: view.get().map((message) => toGifted(message, client.userId ?? "", user)).reverse(),
      user: { _id: client.userId ?? "" },
      onSend: (messages) => messages.forEach(({ text }) => void client.send(peerId, text)),
    }),
  };
}
