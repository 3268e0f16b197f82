//! What a failure of SQLite means to a caller: worth trying again, or not.
//!
//! SQLite's texts name tables and columns, never values, so they may be logged.

use rusqlite::ErrorCode;

use crate::storage::StoreError;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        let transient = matches!(
            error.sqlite_error_code(),
            Some(
                ErrorCode::DiskFull
                    | ErrorCode::SystemIoFailure
                    | ErrorCode::CannotOpen
                    | ErrorCode::ReadOnly
                    | ErrorCode::DatabaseBusy
                    | ErrorCode::DatabaseLocked
                    | ErrorCode::OutOfMemory
                    | ErrorCode::PermissionDenied
            )
        );
        let error = error.to_string();
        match transient {
            true => Self::Unavailable(error).counted(),
            false => Self::Failed(error).counted(),
        }
    }
}

/// Whether this failure concerns only the row that was being written.
pub(super) fn is_of_one_row(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig)
    )
}
