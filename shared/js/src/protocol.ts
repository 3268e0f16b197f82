// The events of the protocol and what they carry. Made from shared/contract/asyncapi.json by scripts/protocol.mjs; not to be
// changed by hand. `shared/PROTOCOL.md` says when each is sent.

/** The `auth` of a client that connects. Other fields are ignored. */
export type ConnectAuth = {
  /** The last cursor that the client was given, or `""` to begin: the client is sent what it missed, then `syncDone`. Without it, it is sent what happens from now on, without cursors. */
  since?: string | null;
  /** The token, a JWT. It can be in the handshake's header `Authorization` instead. */
  token?: string | null;
};

/** Why a client is not let in: what stock clients give to their `connectError`. */
export type ConnectError = {
  /** The code, and the reason in words; absent from servers that are older than it. */
  data?: WireError;
  /** One of few, `authentication_error` among them. */
  message: string;
};

/** One conversation as one of its two people sees it. All of it is absolute: it replaces what was told before. */
export type Conversation = {
  /** Up to where one has received. */
  deliveredUpTo?: MessageId;
  /** The newest message; absent where there is none. */
  lastMessage?: Message;
  /** What is known of them; absent if no user has that id any more. */
  peer?: Peer;
  /** Up to where the peer has received. */
  peerDeliveredUpTo?: MessageId;
  /** With whom; oneself, for notes to oneself. */
  peerId: UserId;
  /** Up to where the peer has read; absent also if either of the two has turned read receipts off. */
  peerReadUpTo?: MessageId;
  /** Up to where one has read; absent until one has said so. */
  readUpTo?: MessageId;
  /** Messages of the peer after `readUpTo`: exact below 1000, which stands for that many or more. */
  unread: number;
};

/** The answer to `update_settings`, and the body of `/users/me/settings`. */
export type CurrentSettings = {
  /** As they are now. */
  settings: Settings;
};

/** Done, with its fields beside `ok`; or refused, or failed. */
export type CurrentSettingsAnswer = ({
  ok: true;
} & CurrentSettings) | Failed;

/** Payload of `dev_hint`. */
export type DevHint = {
  /** Which kind of mistake. Others can be added. */
  code: HintCode;
  /** What is wrong, and what to do instead, for people. */
  message: string;
};

/** What went wrong, for machines. */
export type ErrorCode = "invalid_request" | "invalid_json" | "invalid_id" | "message_empty" | "message_too_long" | "unknown_event" | "unauthorized" | "token_revoked" | "banned" | "disconnected" | "token_invalid" | "token_expired" | "user_unknown" | "too_many_connections" | "invalid_namespace" | "forbidden" | "not_found" | "user_not_found" | "message_not_found" | "method_not_allowed" | "idempotency_conflict" | "sync_reset" | "payload_too_large" | "unsupported_media_type" | "expectation_failed" | "rate_limited" | "quota_exceeded" | "inbox_building" | "overloaded" | "store_unavailable" | "shutting_down" | "internal" | "not_implemented" | (string & {});

/** What another system calls a user: any text without control characters. It is compared as it is. */
export type ExternalId = string;

/** An answer that is an error. */
export type Failed = {
  /** Why. */
  error: WireError;
  /** Always false. */
  ok: false;
};

/** A kind of mistake of a client. */
export type HintCode = "no_acknowledgement" | "no_client_message_id" | "foreign_event" | "token_without_end" | "outdated_client";

/** One page of conversations, that with the newest message first. */
export type Inbox = {
  /** The conversations. */
  conversations: Conversation[];
  /** What to pass as `cursor` for the next page; absent on the last one. */
  next?: string;
  /** Unread messages of all conversations, also of those in other pages: exact below 1000, which stands for that many or more. */
  totalUnread: number;
};

/** Done, with its fields beside `ok`; or refused, or failed. */
export type InboxAnswer = ({
  ok: true;
} & Inbox) | Failed;

/** Payload of `conversations` and query of `GET /chat/conversations`. */
export type ListConversations = {
  /** `next` of the page before; absent for the first page. */
  cursor?: string | null;
  /** Conversations in the page, 1 to 200; 50 if absent. */
  limit?: number | null;
};

/** Payload of `mark_delivered` and `mark_read`. */
export type MarkUpTo = {
  /** Whose messages. */
  peerId: UserRef;
  /** Up to and including this message, of either of the two. */
  upTo: MessageId;
};

/** The answer to it: the watermarks as they are now; they never go back. */
export type MarkedUpTo = {
  /** Up to where one has received; reading implies it. */
  deliveredUpTo?: MessageId;
  /** In which conversation. */
  peerId: UserId;
  /** Up to where one has read. */
  readUpTo?: MessageId;
};

/** Done, with its fields beside `ok`; or refused, or failed. */
export type MarkedUpToAnswer = ({
  ok: true;
} & MarkedUpTo) | Failed;

/** One message, in the field order that existing clients rely on. Messages of the program that this server replaced can lack fields; what is missing in the database is missing here and on the wire, never `null`. Messages written by this server have all of them. */
export type Message = {
  /** Mongoose's version key. */
  __v?: number;
  /** The message's own id. */
  _id: MessageId;
  /** When the server took it. */
  createdAt?: Timestamp;
  /** The text. */
  message?: string;
  /** Whom it is for. */
  receiver?: UserId;
  /** Who wrote it. */
  sender?: UserId;
  /** When it last changed; equal to `createdAt` for one that never did. */
  updatedAt?: Timestamp;
};

/** The id of a message: 24 hexadecimal digits. */
export type MessageId = string;

/** Nothing beside `ok`. */
export type Nothing = {};

/** Done, with its fields beside `ok`; or refused, or failed. */
export type NothingAnswer = ({
  ok: true;
} & Nothing) | Failed;

/** The other one of a conversation. */
export type Peer = {
  /** What another system calls them; absent if nobody said. */
  externalId?: ExternalId;
  /** Whether they have a connection; false for one who is invisible. */
  isOnline: boolean;
  /** When their first connection began or the last one ended; absent if there never was one, or they are invisible. */
  lastSeen?: Timestamp;
  /** Their name. */
  username: string;
};

/** Whether somebody is there. Also the payload of `presence`. */
export type Presence = {
  /** Whether they have a connection; false for one who is invisible. */
  isOnline: boolean;
  /** When their first connection began or the last one ended; absent if there never was one, or they are invisible. */
  lastSeen?: Timestamp;
  /** Who. */
  userId: UserId;
};

/** Payload of `subscribe_presence` and `unsubscribe_presence`. */
export type PresenceOf = {
  /** Whose: 1 to 500. */
  userIds: UserRef[];
};

/** The answer to `subscribe_presence`. */
export type PresentNow = {
  /** One entry for each user asked for. */
  presence: Presence[];
};

/** Done, with its fields beside `ok`; or refused, or failed. */
export type PresentNowAnswer = ({
  ok: true;
} & PresentNow) | Failed;

/** How far somebody has received or read what somebody else wrote. */
export type Receipt = {
  /** When that was said. */
  at: Timestamp;
  /** Whose messages. Absent in the live events, where it is the one who hears. */
  peerId?: UserId;
  /** Up to and including this message. */
  upTo: MessageId;
  /** Who has received or read. */
  userId: UserId;
};

/** Payload of `refresh_token`. */
export type RefreshToken = {
  /** A token of the same user. */
  token: string;
};

/** The answer to `refresh_token`. */
export type Refreshed = {
  /** When the connection's token ends now; missing if it never does. */
  expiresAt?: Timestamp;
};

/** Done, with its fields beside `ok`; or refused, or failed. */
export type RefreshedAnswer = ({
  ok: true;
} & Refreshed) | Failed;

/** Payload of `request_failed`. */
export type RequestFailed = {
  /** The `clientMessageId` it carried, if that much could be read. */
  clientMessageId?: string;
  /** Why. */
  error: WireError;
  /** The event that failed. */
  event: string;
};

/** Second argument of the events on a connection that has caught up. */
export type Resume = {
  /** A client that received all up to this event goes on from here. */
  cursor: string;
};

/** Payload of `send_message`. */
export type SendMessage = {
  /** The client's own id for this message, 1 to 64 characters. Sending it again stores nothing twice. Ids that grow with time (UUIDv7) cost the database least. */
  clientMessageId?: string | null;
  /** The text: 1 to 16384 bytes of UTF-8. (The server takes numbers and booleans, too.) */
  message: string;
  /** Whom it is for. (The server reads any text first, so that it can tell a bad id from a bad payload.) */
  receiverId: UserRef;
};

/** The answer to a `send_message` that succeeded. */
export type Sent = {
  /** True if this `clientMessageId` had been stored before; then `message` is that first one. */
  duplicate: boolean;
  /** The stored message. */
  message: Message;
};

/** Done, with its fields beside `ok`; or refused, or failed. */
export type SentAnswer = ({
  ok: true;
} & Sent) | Failed;

/** Payload of `session_ended`. */
export type SessionEnded = {
  /** `TokenRevoked`, `Banned` or `Disconnected`. */
  code: ErrorCode;
  /** For people. */
  message: string;
  /** When a ban ends by itself. */
  until?: Timestamp;
};

/** Payload of `typing` from a client. */
export type SetTyping = {
  /** Whether one types. True is to be repeated: it expires after 6 seconds. */
  isTyping: boolean;
  /** Who is to know. */
  receiverId: UserRef;
};

/** What a user lets others know. */
export type Settings = {
  /** Whether one seems offline to everybody. */
  invisible: boolean;
  /** Whether others learn what one has read. Off, one does not learn it of others either. */
  readReceipts: boolean;
  /** Grows with every change; 0 if there was none. Of two the greater one holds, whichever came last. */
  version: number;
};

/** Payload of `update_settings` and body of `PATCH /users/me/settings`: what is absent stays. */
export type SettingsChange = {
  /** See `invisible`. */
  invisible?: boolean | null;
  /** See `readReceipts`. */
  readReceipts?: boolean | null;
};

/** Payload of `sync_done`. */
export type SyncDone = {
  /** True if more was missed than is pushed on connecting: go on with `sync` from `next`. */
  hasMore: boolean;
  /** The cursor after all that was pushed. */
  next: string;
  /** The version of the protocol of the server; 0 if it does not tell. */
  protocol: number;
};

/** One change that concerns a user. */
export type SyncEvent = {
  /** As it is now. */
  message: Message;
  type: "message";
} | ({
  type: "messages_delivered";
} & Receipt) | ({
  type: "messages_read";
} & Receipt) | {
  /** As they are now. */
  settings: Settings;
  type: "settings";
};

/** Payload of `sync` and query of `GET /chat/sync`. */
export type SyncRequest = {
  /** Most events in the answer, 1 to 200, which is also the default. */
  limit?: number | null;
  /** The cursor of the last answer or event; absent to begin. */
  since?: string | null;
};

/** Payload of `sync_reset`. */
export type SyncReset = {
  /** For people: why the cursor can't be used. */
  message: string;
};

/** The answer: a page of what changed, oldest first. */
export type Synced = {
  /** What changed; empty if the request had no cursor. */
  events: SyncEvent[];
  /** Whether there is more after it now. */
  hasMore: boolean;
  /** The first page of conversations, if the request had no cursor. */
  inbox?: Inbox;
  /** The cursor after this page. */
  next: string;
};

/** Done, with its fields beside `ok`; or refused, or failed. */
export type SyncedAnswer = ({
  ok: true;
} & Synced) | Failed;

/** A moment: RFC 3339. The server writes UTC with milliseconds, and reads every time zone. */
export type Timestamp = string;

/** Payload of `token_expiring` and `token_expired`. */
export type TokenEnd = {
  /** When the connection's token ends, or ended. */
  expiresAt: Timestamp;
};

/** Payload of `typing` to a client. */
export type Typing = {
  /** Which of the two. */
  isTyping: boolean;
  /** Who types, or stopped. */
  userId: UserId;
};

/** The id of a user: 24 hexadecimal digits. */
export type UserId = string;

/** The id of a user as a client may write it: 24 hexadecimal digits. Where the server runs with USER_IDS=external, the user's `externalId` as well, any text without control characters; elsewhere that is `invalid_id`. */
export type UserRef = string;

/** An error as clients see it: the body of every HTTP error is `{"error": …}`, and so is a socket's answer. */
export type WireError = {
  /** For machines. */
  code: ErrorCode;
  /** For people: what was wrong and what is allowed. */
  message: string;
  /** How long to wait, in milliseconds, before trying the same again; absent if that can't help. */
  retryAfterMs?: number;
  /** When a ban ends by itself. */
  until?: Timestamp;
};

/** What the server sends, for `Socket<ServerToClientEvents, ClientToServerEvents>` of the stock client. */
export interface ServerToClientEvents {
  /** A conversation of this user as it is now; it replaces what was known of it */
  conversation_updated: (payload: Conversation, resume?: Resume) => void;
  /** A mistake in how this client uses the server, once for each kind; while developing (`DEV_HINTS`) */
  dev_hint: (payload: DevHint) => void;
  /** A message of this user: to the connections that did not send it */
  message_sent: (payload: Message, resume?: Resume) => void;
  /** Somebody has received this user's messages, up to one of them */
  messages_delivered: (payload: Receipt, resume?: Resume) => void;
  /** Somebody has read this user's messages, up to one of them */
  messages_read: (payload: Receipt, resume?: Resume) => void;
  /** Somebody whom this connection follows came or left */
  presence: (payload: Presence) => void;
  /** A message for this user: to all connections of the receiver */
  [name: `receive_message_${string}`]: (payload: Message, resume?: Resume) => void;
  /** An event failed that asked for no acknowledgement */
  request_failed: (payload: RequestFailed) => void;
  /** The connection ends in a moment: its user is shut out, or an administrator ends it */
  session_ended: (payload: SessionEnded) => void;
  /** This user's settings as they are now */
  settings_updated: (payload: Settings, resume?: Resume) => void;
  /** All that was missed was sent; with `hasMore` go on with `sync` from `next` */
  sync_done: (payload: SyncDone) => void;
  /** The cursor can't be used: begin without one */
  sync_reset: (payload: SyncReset) => void;
  /** The connection's token has ended, and the connection is closed in a moment */
  token_expired: (payload: TokenEnd) => void;
  /** The connection's token ends soon: send `refresh_token` with a new one */
  token_expiring: (payload: TokenEnd) => void;
  /** Somebody types to this user, or stopped */
  typing: (payload: Typing) => void;
}

/**
 * What a client sends, each with its acknowledgement: a request that asks for none learns of nothing. It is no optional argument,
 * because `emitWithAck` finds the type of its result by it.
 */
export interface ClientToServerEvents {
  /** A page of the inbox, the conversation with the newest message first */
  conversations: (payload: ListConversations, answer: (answer: InboxAnswer) => void) => void;
  /** Say that messages were received, up to one of them */
  mark_delivered: (payload: MarkUpTo, answer: (answer: MarkedUpToAnswer) => void) => void;
  /** Say that messages were read, up to one of them; that implies having received them */
  mark_read: (payload: MarkUpTo, answer: (answer: MarkedUpToAnswer) => void) => void;
  /** Go on with another token of the same user */
  refresh_token: (payload: RefreshToken, answer: (answer: RefreshedAnswer) => void) => void;
  /** Store a message and deliver it; answered once it is durable */
  send_message: (payload: SendMessage, answer: (answer: SentAnswer) => void) => void;
  /** Who of these users is there, now and whenever it changes */
  subscribe_presence: (payload: PresenceOf, answer: (answer: PresentNowAnswer) => void) => void;
  /** What concerns this user since a cursor; without one a fresh cursor and the inbox */
  sync: (payload: SyncRequest, answer: (answer: SyncedAnswer) => void) => void;
  /** Say that one types, or stopped; never stored, and over after 6 seconds unless said again */
  typing: (payload: SetTyping, answer: (answer: NothingAnswer) => void) => void;
  /** Be told no more who of these users is there */
  unsubscribe_presence: (payload: PresenceOf, answer: (answer: NothingAnswer) => void) => void;
  /** Change one's settings; what is absent stays */
  update_settings: (payload: SettingsChange, answer: (answer: CurrentSettingsAnswer) => void) => void;
}
