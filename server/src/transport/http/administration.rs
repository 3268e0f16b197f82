//! Who may reach administration (`/admin/…`), before anybody is asked for a token: those who come by the way that is for it. No
//! proxy leads there unless an operator made it so.

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use shared::{ErrorCode, WireError};

use super::paths;
use crate::error::HttpError;
use crate::transport::tcp::connection::{CloseHandle, Connection};

/// Lets a request for administration on, or answers as if there was none.
pub async fn guard(request: Request, next: Next) -> Response {
    let handle = request.extensions().get::<CloseHandle>();
    let connection = handle.and_then(CloseHandle::connection);
    if connection.as_deref().is_some_and(Connection::is_for_administration) {
        return next.run(request).await;
    }
    let message = format!(
        "there is no {} {:.128} here: administration is served at ADMIN_LISTEN",
        request.method(),
        paths::as_asked(request.uri())
    );
    HttpError(WireError::new(ErrorCode::NotFound, message)).into_response()
}
