//! `/admin/log-level`: what is logged, and changing that for a time or until the process ends.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use shared::admin::{LogLevel, SetLogLevel};
use shared::{Timestamp, WireError, limits};

use super::extract::{Admin, Body};
use crate::clock::now;
use crate::config::log_filter;
use crate::error::{self, HttpError, invalid_request};
use crate::telemetry;
use crate::transport::context::Context;

/// Longest filter, in bytes.
const MAX_FILTER_BYTES: usize = 1_000;

/// `GET /admin/log-level`.
pub async fn get(_: Admin) -> Result<Json<LogLevel>, HttpError> {
    Ok(Json(shown(level()?)))
}

/// `PUT /admin/log-level`.
pub async fn put(
    State(context): State<Arc<Context>>,
    _: Admin,
    Body(request): Body<SetLogLevel>,
) -> Result<Json<LogLevel>, HttpError> {
    let level = level()?;
    if request.filter.len() > MAX_FILTER_BYTES {
        let message = format!("filter: at most {MAX_FILTER_BYTES} bytes are allowed");
        return Err(invalid_request(message).into());
    }
    let filter =
        log_filter(&request.filter).map_err(|why| invalid_request(format!("filter: {}", error::shortened(&why))))?;
    let until = match request.lasting {
        None => None,
        Some(seconds @ 1..=limits::LOG_LEVEL_SECONDS) => {
            Some(Timestamp::from_millis(now().millis() + i64::from(seconds) * 1_000))
        }
        Some(_) => {
            let message = format!("for: 1 to {} seconds are allowed", limits::LOG_LEVEL_SECONDS);
            return Err(invalid_request(message).into());
        }
    };
    // Before the filter: its end must not be missed.
    context.level_timer.set(&context.timers, until);
    match level.set(&filter, until) {
        true => Ok(Json(shown(level))),
        false => Err(error::failed().into()),
    }
}

/// The level of this process, which logs from its start.
fn level() -> Result<&'static telemetry::LogLevel, WireError> {
    telemetry::level().ok_or_else(error::failed)
}

fn shown(level: &telemetry::LogLevel) -> LogLevel {
    let (filter, until) = level.now();
    LogLevel {
        filter,
        configured: level.configured().to_owned(),
        until,
    }
}
