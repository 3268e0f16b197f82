//! CPU time and resident memory of named processes, this one included, while something is measured.

use std::time::Duration;

use serde::Serialize;
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// A process to watch, as `--pid NAME=PID` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What it is called in the report.
    pub name: String,
    /// Its id; none for the process that listens at the server's port.
    pub pid: Option<u32>,
}

impl std::str::FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, pid) = text.split_once('=').unwrap_or(("server", text));
        let pid = match pid {
            "auto" => None,
            pid => Some(
                pid.parse()
                    .map_err(|_| format!("`{text}` is not NAME=PID, such as server=1234 or server=auto"))?,
            ),
        };
        Ok(Self {
            name: name.to_owned(),
            pid,
        })
    }
}

/// Why a process can't be watched.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// It is gone, or never was there.
    #[error("there is no process {pid} ({name})", pid = .0.pid.unwrap_or_default(), name = .0.name)]
    Gone(Named),
    /// The system does not tell.
    #[error("processes can't be watched: {0}")]
    Unknown(#[from] sysinfo::Error),
}

/// What one process has used.
#[derive(Debug, Clone, Copy, Default)]
struct ResourceUsage {
    cpu: Duration,
    /// In bytes.
    memory: u64,
}

/// Reads the processes.
#[derive(Debug)]
pub struct ProcessMonitor {
    system: System,
    processes: Vec<Named>,
    begun: Vec<ResourceUsage>,
    peak: Vec<u64>,
}

impl ProcessMonitor {
    /// Watches these processes and this one, from now on.
    pub fn new(named: &[Named]) -> Result<Self, MonitorError> {
        let mut processes = named.to_vec();
        processes.push(Named {
            name: "chatctl".to_owned(),
            pid: Some(std::process::id()),
        });
        let mut watch = Self {
            system: System::new()?,
            processes,
            begun: Vec::new(),
            peak: Vec::new(),
        };
        watch.begin()?;
        Ok(watch)
    }

    /// Begins a window.
    pub fn begin(&mut self) -> Result<(), MonitorError> {
        self.begun = self.read()?;
        self.peak = self.begun.iter().map(|usage| usage.memory).collect();
        Ok(())
    }

    /// Looks for a new peak of memory.
    pub fn sample(&mut self) -> Result<(), MonitorError> {
        let now = self.read()?;
        for (peak, usage) in self.peak.iter_mut().zip(now) {
            *peak = usage.memory.max(*peak);
        }
        Ok(())
    }

    /// Ends the window, in which so many messages (or whatever is counted) were handled.
    pub fn end(&mut self, count: u64) -> Result<Vec<ProcessReport>, MonitorError> {
        self.sample()?;
        let now = self.read()?;
        let reports = self.processes.iter().zip(&self.begun).zip(&self.peak).zip(now);
        let report = |(((process, begun), peak), now): (((&Named, &ResourceUsage), &u64), ResourceUsage)| {
            let cpu = now.cpu.saturating_sub(begun.cpu).as_secs_f64();
            ProcessReport {
                name: process.name.clone(),
                pid: process.pid.unwrap_or_default(),
                cpu_seconds: cpu,
                cpu_micros_each: (count > 0).then(|| cpu * 1e6 / count as f64),
                memory_before: begun.memory,
                memory_after: now.memory,
                memory_peak: *peak,
            }
        };
        Ok(reports.map(report).collect())
    }

    /// Resident memory of each process now, in bytes.
    pub fn memory(&mut self) -> Result<Vec<u64>, MonitorError> {
        Ok(self.read()?.iter().map(|usage| usage.memory).collect())
    }

    /// The processes' names; this one is the last.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.processes.iter().map(|process| process.name.as_str())
    }

    fn read(&mut self) -> Result<Vec<ResourceUsage>, MonitorError> {
        let pids: Vec<Pid> = self
            .processes
            .iter()
            .map(|process| Pid::from_u32(process.pid.unwrap_or_default()))
            .collect();
        let kind = ProcessRefreshKind::nothing().with_cpu().with_memory().without_tasks();
        self.system
            .refresh_processes_specifics(ProcessesToUpdate::Some(&pids), true, kind);
        let usage = |(process, pid): (&Named, &Pid)| {
            let found = self
                .system
                .process(*pid)
                .ok_or_else(|| MonitorError::Gone(process.clone()))?;
            Ok(ResourceUsage {
                cpu: Duration::from_millis(found.accumulated_cpu_time()),
                memory: found.memory(),
            })
        };
        self.processes.iter().zip(&pids).map(usage).collect()
    }
}

/// A process in a report.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProcessReport {
    /// As it was called on the command line.
    pub name: String,
    /// Its id.
    pub pid: u32,
    /// CPU time in the window, of all its threads.
    pub cpu_seconds: f64,
    /// CPU time per message, page or connection, in microseconds; the same as CPU seconds per million of them.
    pub cpu_micros_each: Option<f64>,
    /// Resident memory at the beginning, in bytes.
    pub memory_before: u64,
    /// Resident memory at the end.
    pub memory_after: u64,
    /// The most that was seen in between.
    pub memory_peak: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_optional() {
        let named = |name: &str, pid| Named {
            name: name.to_owned(),
            pid,
        };
        assert_eq!("mongod=42".parse(), Ok(named("mongod", Some(42))));
        assert_eq!("42".parse(), Ok(named("server", Some(42))));
        assert_eq!("server=auto".parse(), Ok(named("server", None)));
        assert!("server=x".parse::<Named>().is_err());
    }

    #[test]
    fn cpu_time_and_memory_are_seen() {
        let mut watch = ProcessMonitor::new(&[]).unwrap();
        let begun = std::time::Instant::now();
        let mut sum = 0_u64;
        while begun.elapsed() < Duration::from_millis(100) {
            sum = std::hint::black_box(sum.wrapping_add(1));
        }
        let reports = watch.end(1_000).unwrap();
        assert_eq!(reports[0].name, "chatctl");
        assert!(reports[0].cpu_seconds >= 0.02, "{reports:?}");
        assert!(
            reports[0].memory_peak > 100_000 && reports[0].cpu_micros_each > Some(0.0),
            "{reports:?}"
        );
    }

    #[test]
    fn a_process_that_is_gone_is_named() {
        let gone = "ghost=4194304".parse().unwrap();
        assert_eq!(
            ProcessMonitor::new(&[gone]).unwrap_err().to_string(),
            "there is no process 4194304 (ghost)"
        );
    }
}
