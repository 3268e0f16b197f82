//! How many connections this process may open.

use chatctl_terminal::UsageError;

/// Files that are open besides the connections: the terminal, the runtimes, `/proc`.
const OTHER_FILES: u64 = 64;

/// Makes room for so many connections, as far as the system lets a process do so for itself.
///
/// # Errors
/// If that is not far enough; the text says how many would be.
pub fn allow_connections(count: usize) -> Result<(), UsageError> {
    let needed = count as u64 + OTHER_FILES;
    // Where it can't be found out, opening the connections will show it.
    let allowed = rlimit::increase_nofile_limit(needed).unwrap_or(u64::MAX);
    check(count, allowed)
}

fn check(count: usize, allowed: u64) -> Result<(), UsageError> {
    if count as u64 + OTHER_FILES <= allowed {
        return Ok(());
    }
    Err(UsageError(format!(
        "{count} connections are too many: this process may open {allowed} files (`ulimit -n`), which is enough for {}",
        allowed.saturating_sub(OTHER_FILES)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_are_refused_with_the_number_that_fits() {
        assert!(check(19_936, 20_000).is_ok());
        let refused = check(19_937, 20_000).unwrap_err().to_string();
        assert!(
            refused.contains("20000 files") && refused.ends_with("19936"),
            "{refused}"
        );
    }
}
