// Ids of messages that are not sent yet: UUIDv7, each greater than the one before.

let last = 0;

/** The next id. It grows also when the clock goes back, and after `after`, an id of an earlier process. */
export function nextId(after = ""): string {
  last = Math.max(Date.now(), last + 1, (parseInt(after.replace("-", "").slice(0, 12), 16) || 0) + 1);
  const time = last.toString(16).padStart(12, "0");
  const random = randomHex();
  return `${time.slice(0, 8)}-${time.slice(8)}-7${random.slice(0, 3)}-8${random.slice(3, 6)}-${random.slice(6, 18)}`;
}

function randomHex(): string {
  const bytes = new Uint8Array(9);
  // React Native has no `crypto` of its own. These ids need to be different, not secret.
  if (typeof crypto === "object" && crypto.getRandomValues) crypto.getRandomValues(bytes);
  else bytes.forEach((_, index) => (bytes[index] = Math.random() * 256));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
