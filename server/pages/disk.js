// What a device keeps when its tab is killed: its copy of the conversation, its cursor, and what it has not sent yet.

export class Disk {
  messages = new Map();
  cursor = "";
  /** Messages that were not acknowledged: {clientMessageId, text, state}. */
  outbox = [];
  unread = 0;
  /** Up to which message the peer has received and read, and this user has read. */
  peerDelivered;
  peerRead;

  /** Keeps a message; one that comes twice replaces what is there. Returns whether it is new. */
  keep(message, at) {
    const isNew = !this.messages.has(message._id);
    this.messages.set(message._id, message);
    this.moveOn(at);
    return isNew;
  }

  /** Everything up to this event is here now. */
  moveOn(at) {
    if (at?.cursor) this.cursor = at.cursor;
  }

  /** The messages in the order of the protocol: by `createdAt`, then by `_id`. */
  sorted() {
    return [...this.messages.values()].sort(compare);
  }

  /** How far one of this user's messages has come: "sent", "delivered" or "read". */
  progress(message) {
    if (this.#reaches(this.peerRead, message)) return "read";
    return this.#reaches(this.peerDelivered, message) ? "delivered" : "sent";
  }

  /** Takes the watermarks of a conversation. */
  stand({ unread, peerReadUpTo, peerDeliveredUpTo }) {
    if (unread !== undefined) this.unread = unread;
    if (peerReadUpTo) this.peerRead = peerReadUpTo;
    if (peerDeliveredUpTo) this.peerDelivered = peerDeliveredUpTo;
  }

  #reaches(upTo, message) {
    const mark = upTo && this.messages.get(upTo);
    return mark ? compare(message, mark) <= 0 : false;
  }
}

function compare(one, other) {
  const keys = ["createdAt", "_id"];
  for (const key of keys) if (one[key] !== other[key]) return one[key] < other[key] ? -1 : 1;
  return 0;
}
