//! Which process of this machine listens at the server's port: what `--pid NAME=auto` means.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use chatctl_terminal::UsageError;
use http::Uri;

use super::process::Named;

/// The state of a socket that listens, as Linux prints it.
const LISTEN_STATE: &str = "0A";

/// The processes to watch, each with its id.
///
/// # Errors
/// If one can't be found, or several have one name: their figures would be those of neither.
pub fn identified(named: &[Named], url: &str) -> anyhow::Result<Vec<Named>> {
    let mut processes: Vec<Named> = Vec::new();
    for process in named {
        if processes.iter().any(|other| other.name == process.name) {
            let name = &process.name;
            return Err(UsageError(format!(
                "--pid names several processes {name:?}: `--pid {name}=auto` watches the one that listens at {url}"
            ))
            .into());
        }
        let pid = match process.pid {
            Some(pid) => pid,
            None => listener(url)?,
        };
        processes.push(Named {
            pid: Some(pid),
            name: process.name.clone(),
        });
    }
    Ok(processes)
}

fn listener(url: &str) -> anyhow::Result<u32> {
    let address: Uri = url.parse()?;
    let default = if address.scheme_str() == Some("https") { 443 } else { 80 };
    let port = address.port_u16().unwrap_or(default);
    let sockets: BTreeSet<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| sockets(&table, port))
        .collect();
    let processes: BTreeSet<u32> = fs::read_dir("/proc")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| holds(*pid, &sockets))
        .collect();
    match processes.first() {
        Some(pid) if processes.len() == 1 => Ok(*pid),
        Some(_) => Err(UsageError(format!("several processes listen at port {port}: {processes:?}")).into()),
        None => Err(UsageError(format!(
            "no process of this user is seen to listen at port {port} of this machine: name one by its id"
        ))
        .into()),
    }
}

/// How the sockets that listen at a port are called in the folders of processes.
fn sockets(table: &str, port: u16) -> Vec<String> {
    let port = format!(":{port:04X}");
    let rows = table.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter_map(|row| match row[..] {
        [_, local, _, LISTEN_STATE, _, _, _, _, _, inode, ..] if local.ends_with(&port) => {
            Some(format!("socket:[{inode}]"))
        }
        _ => None,
    })
    .collect()
}

fn holds(pid: u32, sockets: &BTreeSet<String>) -> bool {
    let files = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd"));
    // One that has ended meanwhile, or is somebody else's.
    let Ok(files) = files else { return false };
    let targets = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
    targets
        .filter_map(|target| target.into_os_string().into_string().ok())
        .any(|target| sockets.contains(&target))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_port_tells_its_process() {
        let listening = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listening.local_addr().unwrap());
        let found = identified(&["server=auto".parse().unwrap()], &url).unwrap();
        assert_eq!(found[0].pid, Some(std::process::id()));
        drop(listening);
        assert!(listener(&url).is_err());
    }
}
