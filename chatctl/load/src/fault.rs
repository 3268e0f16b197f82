//! The fault command: run again and again while users write, and written down.

use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

/// How long one run of the command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);
/// After the last of them, the users write for at least so long, if the run is long enough.
const MIN_REST: Duration = Duration::from_secs(2);

/// One run of the fault command. Times are since the run began.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fault {
    /// When it was started, in seconds.
    pub begin: f64,
    /// When it ended; absent if it had to be ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<f64>,
    /// What it exited with; absent if a signal ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
}

/// The faults of a run.
#[derive(Debug)]
pub struct Faults {
    /// The command for `sh -c`.
    pub command: String,
    /// From the begin of one to that of the next.
    pub every: Duration,
    /// When the run began.
    pub epoch: Instant,
    /// What happened. Locked for moments.
    pub log: Arc<Mutex<Vec<Fault>>>,
}

impl Faults {
    /// Runs the command until it is told to stop or a moment is reached; what was begun is always ended.
    ///
    /// # Errors
    /// If the command can't be started, fails, or doesn't end: then what the run shows is not what was asked for.
    pub async fn run(self, until: Instant, mut stop: watch::Receiver<bool>) -> Result<(), String> {
        let mut next = Instant::now() + self.every;
        while next + MIN_REST <= until {
            tokio::select! {
                () = sleep_until(next) => {}
                _ = stop.wait_for(|stop| *stop) => return Ok(()),
            }
            self.once().await?;
            next = Instant::now().max(next + self.every);
        }
        Ok(())
    }

    async fn once(&self) -> Result<(), String> {
        let begin = self.epoch.elapsed().as_secs_f64();
        let number = {
            let mut log = self.log.lock();
            log.push(Fault {
                begin,
                end: None,
                status: None,
            });
            log.len() - 1
        };
        // Standard output is ours, for the verdict. The server that the command starts may keep standard error open.
        let child = Command::new("sh")
            .args(["-c", &self.command])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let mut child: Child = child.map_err(|error| format!("the fault command can't be started: {error}"))?;
        let status = match timeout(COMMAND_TIMEOUT, child.wait()).await {
            Ok(status) => status.map_err(|error| format!("the fault command can't be waited for: {error}"))?,
            Err(_) => {
                // The command itself, not what it started: that is whoever wrote it to know.
                let _ = child.kill().await;
                return Err(format!("the fault command did not end within {COMMAND_TIMEOUT:?}"));
            }
        };
        let fault = &mut self.log.lock()[number];
        fault.end = Some(self.epoch.elapsed().as_secs_f64());
        fault.status = status.code();
        if status.success() {
            Ok(())
        } else {
            Err(format!("the fault command failed ({status}) at {begin:.1} s"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a command until it fails or has run three times.
    async fn faults(command: &str) -> (Result<(), String>, Vec<Fault>) {
        let log: Arc<Mutex<Vec<Fault>>> = Arc::default();
        let faults = Faults {
            command: command.to_owned(),
            every: Duration::from_millis(1),
            epoch: Instant::now(),
            log: Arc::clone(&log),
        };
        let (stop, stopped) = watch::channel(false);
        let until = Instant::now() + Duration::from_secs(3_600);
        let mut run = std::pin::pin!(faults.run(until, stopped));
        let result = loop {
            tokio::select! {
                result = &mut run => break result,
                () = tokio::task::yield_now(), if log.lock().len() >= 3 => {
                    stop.send_replace(true);
                    break run.await;
                }
                () = tokio::time::sleep(Duration::from_millis(1)) => {}
            }
        };
        let log = std::mem::take(&mut *log.lock());
        (result, log)
    }

    #[tokio::test]
    async fn every_run_is_written_down_and_ended() {
        let (result, log) = faults("exit 0").await;
        assert_eq!(result, Ok(()));
        assert!(log.len() >= 3);
        assert!(
            log.iter()
                .all(|fault| fault.status == Some(0) && fault.end >= Some(fault.begin))
        );
    }

    #[tokio::test]
    async fn a_command_that_fails_ends_them() {
        let (result, log) = faults("exit 3").await;
        assert!(result.unwrap_err().contains("exit status: 3"));
        let statuses: Vec<_> = log.iter().map(|fault| fault.status).collect();
        assert_eq!(statuses, [Some(3)]);
    }

    #[tokio::test]
    async fn a_run_that_is_too_short_has_none() {
        let log = Arc::default();
        let faults = Faults {
            command: "exit 0".to_owned(),
            every: Duration::from_secs(3_600),
            epoch: Instant::now(),
            log: Arc::clone(&log),
        };
        let (_stop, stopped) = watch::channel(false);
        assert_eq!(faults.run(Instant::now(), stopped).await, Ok(()));
        assert!(log.lock().is_empty());
    }
}
