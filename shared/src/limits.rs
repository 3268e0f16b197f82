//! Sizes that both sides must agree on. The server's configuration can change the ones that it documents there.

/// Longest message, in bytes of UTF-8, unless the server is configured otherwise.
pub const MESSAGE_BYTES: usize = 16_384;
/// Largest Socket.IO event (name and payload as JSON) that the server answers other than with `payload_too_large`, in bytes.
pub const EVENT_BYTES: usize = 65_536;
/// Longest `clientMessageId`, in characters.
pub const CLIENT_MESSAGE_ID_CHARS: usize = 64;
/// Longest user name, in characters.
pub const USERNAME_CHARS: usize = 64;
/// Longest id that a user has in another system, in characters.
pub const EXTERNAL_ID_CHARS: usize = 128;
/// Longest name of a user that is shown to people, in characters.
pub const DISPLAY_NAME_CHARS: usize = 128;
/// Longest address of a user's picture, in bytes.
pub const AVATAR_URL_BYTES: usize = 2_048;
/// Longest reason of a ban, in characters.
pub const BAN_REASON_CHARS: usize = 200;
/// Most names in one request to create users.
pub const USERS_PER_REQUEST: usize = 1_000;
/// Most messages in one page of history, and most users in one page of the list.
pub const MAX_PAGE: usize = 200;
/// Largest page of changes or of conversations, in bytes of JSON, unless the first item of it alone is longer: half of what
/// may wait for a client, so that live events fit beside it.
pub const PAGE_BYTES: usize = 512 * 1024;
/// Messages in a page whose size was not asked for.
pub const DEFAULT_PAGE: usize = 50;
/// Shortest secret, in bytes, that is not warned of: RFC 7518 section 3.2 asks for as many bits as the hash has.
pub const SECRET_BYTES: usize = 32;
/// What a number of unread messages stops at: below it is exact, and it stands for that many or more.
pub const MAX_UNREAD: u32 = 1_000;
/// Most events that are pushed to a client that connects with a cursor; it asks for the rest.
pub const MAX_SYNC_PUSH: usize = 1_000;
/// Most users whose presence one connection may follow.
pub const PRESENCE_SUBSCRIPTIONS: usize = 500;
/// How long somebody counts as typing without saying so again.
pub const TYPING_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(6);
/// How long somebody may be away without being shown as offline: one who comes back within it never left.
pub const ABSENCE_DELAY: std::time::Duration = std::time::Duration::from_secs(3);

/// Longest time for which an administrator may have other lines logged, in seconds: a week.
pub const LOG_LEVEL_SECONDS: u32 = 7 * 24 * 60 * 60;
