//! Names, directories and ports that no other test has.

use std::net::TcpListener;

use tempfile::TempDir;

/// `<prefix>_<16 hex digits>`: usable as a fleet, schema or database name without quotes when the prefix is.
pub fn unique(prefix: &str) -> String {
    format!("{prefix}_{:016x}", rand::random::<u64>())
}

/// An empty directory, removed on drop.
///
/// # Panics
/// When the system's temporary directory cannot be written.
pub fn scratch() -> TempDir {
    tempfile::Builder::new()
        .prefix("sanderling-scratch-")
        .tempdir()
        .expect("the temporary directory is writable")
}

/// A TCP port of 127.0.0.1 that was free a moment ago. Somebody else may take it first: retry on a clash.
///
/// # Panics
/// When the loopback interface has no free port.
pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .expect("the loopback interface has a free port")
        .port()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ() {
        assert_ne!(unique("fleet"), unique("fleet"));
    }
}
