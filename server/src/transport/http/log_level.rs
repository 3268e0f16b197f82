//! `/admin/log-level`: what is logged, and changing that for a time or until the process ends.

use std::sync::{Arc, Weak};

use axum::Json;
use axum::extract::State;
use parking_lot::Mutex;
use shared::admin::{LogLevel, SetLogLevel};
use shared::{Timestamp, WireError, limits};

use super::extract::{Admin, Body};
use crate::clock::now;
use crate::config::log_filter;
use crate::error::{self, HttpError, invalid_request};
use crate::telemetry;
use crate::transport::context::Context;
use crate::transport::socketio::timers::{Moment, Timed};

/// Longest filter, in bytes.
const MAX_FILTER_BYTES: usize = 1_000;

/// Takes the level back when its time is over.
#[derive(Default)]
pub struct LevelTimer {
    /// When that is. Held to set it.
    moment: Mutex<Option<Moment>>,
}

impl Timed for LevelTimer {
    fn is_due(&self, now: Timestamp) {
        if let Some(level) = telemetry::level() {
            level.end(now);
        }
    }
}

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
    {
        let timer: Weak<dyn Timed> = Arc::downgrade(&(Arc::clone(&context.level_timer) as Arc<dyn Timed>));
        let mut moment = context.level_timer.moment.lock();
        let before = moment.take();
        match until {
            Some(until) => *moment = Some(context.timers.set(before, until, timer)),
            None => before.into_iter().for_each(|before| context.timers.remove(before)),
        }
    }
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
