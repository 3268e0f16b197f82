//! Users, and one's own settings.

use serde_json::json;
use shared::presence::CurrentSettings;
use shared::user::{CreateUsers, CreatedUsers, UserList};
use shared::{ErrorCode, SettingsChange, User, UserId};

use super::super::examples::{ADA, AT, GRACE};
use super::super::payload::Payload;
use super::super::schemas::Schemas;
use super::operation::{Access, Operation, Parameter};

const TAG: &str = "users";

pub(super) fn operations() -> Vec<Operation> {
    let user = || json!({"_id": ADA, "username": "ada", "isOnline": false, "lastSeen": AT});
    let name = |_: &mut Schemas| json!({"type": "string"});
    let settings = || json!({"settings": {"readReceipts": true, "invisible": false, "version": 3}});
    vec![
        Operation {
            summary: "Create users, or find the ones that exist",
            more: "It can be repeated. Every name has 1 to 64 characters, one of them visible, no control characters, and no white space \
                   at either end.",
            access: Access::Administrator,
            body: Some((
                true,
                Payload::asked::<CreateUsers>(json!({"usernames": ["ada", "grace"]})),
            )),
            ..Operation::new("post", "/users", "createUsers", TAG).answers(
                "One entry for each name, in their order",
                Payload::answered::<CreatedUsers>(json!({"users": [
                    {"_id": ADA, "username": "ada", "isOnline": false, "created": true},
                    {"_id": GRACE, "username": "grace", "isOnline": false, "created": false},
                ]})),
            )
        },
        Operation {
            summary: "Everyone of a name; or, for administrators, all users in pages",
            more: "Without `username` it lists all users, and is for administrators only.",
            parameters: vec![
                Parameter::plain("username", "The exact name", name, json!("ada")),
                Parameter::limit("Users in the page; 50 without it"),
                Parameter::of::<UserId>("after", "`next` of the page before"),
            ],
            codes: &[ErrorCode::Forbidden, ErrorCode::InvalidId],
            ..Operation::new("get", "/users", "listUsers", TAG).answers(
                "Users, oldest first; `next` is missing on the last page",
                Payload::answered::<UserList>(json!({"users": [user()], "next": ADA})),
            )
        },
        Operation {
            summary: "The token's own user",
            more: "The `_id` is part of the name of the event that a client listens to.",
            codes: &[ErrorCode::UserNotFound],
            ..Operation::new("get", "/users/me", "me", TAG).answers("The user", Payload::answered::<User>(user()))
        },
        Operation {
            summary: "One's own settings",
            more: "As `update_settings` answers them.",
            codes: &[ErrorCode::UserNotFound],
            ..Operation::new("get", "/users/me/settings", "settings", TAG)
                .answers("As they are now", Payload::answered::<CurrentSettings>(settings()))
        },
        Operation {
            summary: "Change one's own settings; what is absent stays",
            more: "The other connections of the user receive `settings_updated`.",
            body: Some((true, Payload::asked::<SettingsChange>(json!({"readReceipts": true})))),
            codes: &[ErrorCode::UserNotFound],
            ..Operation::new("patch", "/users/me/settings", "changeSettings", TAG)
                .answers("As they are now", Payload::answered::<CurrentSettings>(settings()))
        },
        Operation {
            summary: "A user",
            more: "To somebody who has not exchanged a message with the user, they look like one who never came.",
            parameters: vec![Parameter::user("id", "Who")],
            codes: &[ErrorCode::InvalidId, ErrorCode::UserNotFound],
            ..Operation::new("get", "/users/{id}", "user", TAG).answers("The user", Payload::answered::<User>(user()))
        },
    ]
}
