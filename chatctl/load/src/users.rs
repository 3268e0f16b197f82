//! The users that a load is made of, and their tokens.

use std::time::Duration;

use chatctl_client::ClientError;
use chatctl_client::http::Http;
use shared::limits::USERS_PER_REQUEST;
use shared::{ErrorCode, UserId};

/// How long the tokens hold: longer than any run.
const TOKEN_LIFETIME: Duration = Duration::from_secs(86_400);

/// A user of the load.
#[derive(Debug, Clone)]
pub struct BenchUser {
    /// The user's id.
    pub id: UserId,
    /// A token of the user.
    pub token: String,
}

/// Creates the users `<prefix>-000001` to `<prefix>-<count>`, or finds those that exist. A server that has no
/// `POST /users` gets made-up ids, always the same.
///
/// # Errors
/// If the server can't be reached or refuses.
pub fn prepare(http: &Http, prefix: &str, count: usize) -> Result<Vec<BenchUser>, ClientError> {
    let names: Vec<String> = (1..=count).map(|number| format!("{prefix}-{number:06}")).collect();
    let mut ids = Vec::with_capacity(count);
    for batch in names.chunks(USERS_PER_REQUEST) {
        match http.create_users(batch) {
            Ok(users) if users.len() == batch.len() => ids.extend(users.iter().map(|created| created.user.id)),
            Ok(users) => {
                return Err(http.not_the_server(format!("{} users for {} names", users.len(), batch.len())));
            }
            Err(error) if ids.is_empty() && has_no_users(&error) => {
                ids = (0..count).map(|number| made_up(prefix, number)).collect();
                break;
            }
            Err(error) => return Err(error),
        }
    }
    let sign = |id| BenchUser {
        id,
        token: http.secret().sign(id, None, TOKEN_LIFETIME).0,
    };
    Ok(ids.into_iter().map(sign).collect())
}

/// A token of an administrator, who may read every history.
pub fn admin_token(http: &Http) -> String {
    let role = Some(shared::Role::Admin);
    http.secret()
        .sign(chatctl_client::token::NOBODY, role, TOKEN_LIFETIME)
        .0
}

/// Whether this says that the server answers, but knows no `POST /users`.
fn has_no_users(error: &ClientError) -> bool {
    match error {
        ClientError::NotTheServer { .. } => true,
        ClientError::Answered(error) => {
            matches!(error.code, ErrorCode::NotFound | ErrorCode::MethodNotAllowed)
        }
        _ => false,
    }
}

fn made_up(prefix: &str, number: usize) -> UserId {
    // FNV-1a, which stays the same with every compiler, unlike the standard library's hashes.
    let fold = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    let hash = prefix.bytes().fold(0x811c_9dc5, fold);
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&hash.to_be_bytes());
    bytes[4..].copy_from_slice(&(number as u64).to_be_bytes());
    UserId::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_ids_are_distinct_and_stay() {
        assert_eq!(made_up("bench", 0).to_string(), made_up("bench", 0).to_string());
        assert_ne!(made_up("bench", 0), made_up("bench", 1));
        assert_ne!(made_up("bench", 0), made_up("other", 0));
        assert_eq!(made_up("bench", 1).to_string().len(), 24);
    }
}
