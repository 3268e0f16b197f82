//! How much one page may hold.

use shared::limits;

use super::error::Error;

/// Checks a page size, if one was asked for.
pub fn checked_limit(limit: Option<usize>) -> Result<Option<usize>, Error> {
    match limit {
        Some(0) => Err(Error::Invalid(format!("limit: must be 1 to {}", limits::MAX_PAGE))),
        Some(limit) if limit > limits::MAX_PAGE => Err(Error::Invalid(format!(
            "limit: {limit} is too much; 1 to {} are allowed",
            limits::MAX_PAGE
        ))),
        limit => Ok(limit),
    }
}
