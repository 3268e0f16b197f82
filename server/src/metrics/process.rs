//! What the system knows of this process, under the names that every Prometheus client gives it. On Linux only: elsewhere there
//! is no `/proc`.

use std::fmt;

use super::Page;

/// Writes the families of the process; those that can't be read are left out.
///
/// # Errors
/// One could not be written.
#[cfg(target_os = "linux")]
pub fn write(page: &mut Page<'_>) -> fmt::Result {
    use procfs::process::{LimitValue, Process};

    let Ok(process) = Process::myself() else {
        return Ok(());
    };
    if let Ok(stat) = process.stat() {
        let ticks = procfs::ticks_per_second() as f64;
        let used = (stat.utime + stat.stime) as f64 / ticks;
        page.seconds_counter("process_cpu", "CPU time of the process, of user and system", used)?;
        let resident = stat.rss * procfs::page_size();
        page.bytes(
            "process_resident_memory",
            "Memory of the process that is in RAM",
            resident,
        )?;
        page.bytes("process_virtual_memory", "Address space of the process", stat.vsize)?;
        page.gauge("process_threads", "Threads of the process", stat.num_threads)?;
        if let Ok(boot) = procfs::boot_time_secs() {
            let started = boot as f64 + stat.starttime as f64 / ticks;
            let help = "When the process started, in seconds since 1970";
            page.seconds("process_start_time", help, started)?;
        }
    }
    if let Ok(open) = process.fd_count() {
        page.gauge("process_open_fds", "Open files and sockets of the process", open)?;
    }
    if let Ok(limits) = process.limits()
        && let LimitValue::Value(most) = limits.max_open_files.soft_limit
    {
        page.gauge(
            "process_max_fds",
            "Most open files and sockets that the process may have",
            most,
        )?;
    }
    Ok(())
}

/// Writes nothing.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn write(_: &mut Page<'_>) -> fmt::Result {
    Ok(())
}
