//! Whether a -wal beside a file is in use, or its writer died.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The process namespace that sees every lock of the machine. Source: Linux, `PROC_PID_INIT_INO`.
const WHOLE_MACHINE: &str = "pid:[4026531836]";

/// What a -wal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wal {
    /// There is none, or it is empty.
    None,
    /// Somebody has the file open.
    InUse,
    /// Nobody has: its writer died, and nobody has opened the file since.
    Abandoned,
    /// Nobody is seen to have it open, and not everybody can be seen.
    Unknown,
}

/// Looks at the -wal beside a file. A connection in WAL mode holds locks on the file, or on its -shm, as long as it is
/// open. They are read from the system: to ask for them would take opening the file, and closing it again would drop
/// every lock that this process has on it.
pub(super) fn wal(path: &Path) -> Wal {
    let is_there = std::fs::metadata(beside(path, "-wal")).is_ok_and(|meta| meta.len() > 0);
    if !is_there {
        return Wal::None;
    }
    let files = [path.to_owned(), beside(path, "-shm")];
    let inodes = files
        .iter()
        .filter_map(|file| Some(std::fs::metadata(file).ok()?.ino()));
    let Ok(locks) = std::fs::read_to_string("/proc/locks") else {
        return Wal::Unknown;
    };
    if is_locked(&locks, &inodes.collect::<Vec<_>>()) {
        return Wal::InUse;
    }
    match std::fs::read_link("/proc/self/ns/pid") {
        Ok(namespace) if namespace == Path::new(WHOLE_MACHINE) => Wal::Abandoned,
        _ => Wal::Unknown,
    }
}

/// Whether a table like `1: POSIX  ADVISORY  READ 4711 fe:00:10657 128 128` names one of the files. Devices are not
/// compared, because not every file system gives both places the same: to take a file for used is the safe mistake.
fn is_locked(locks: &str, inodes: &[u64]) -> bool {
    locks
        .lines()
        .filter_map(|line| {
            line.split_whitespace()
                .find(|word| word.matches(':').count() == 2)
        })
        .filter_map(|file| file.rsplit(':').next()?.parse().ok())
        .any(|inode: u64| inodes.contains(&inode))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_found_by_file() {
        let locks = "1: POSIX  ADVISORY  READ 32537 fe:00:10010657 128 128\n\
                     2: -> POSIX  ADVISORY  WRITE 7 fe:00:42 0 EOF\n3: FLOCK  ADVISORY  WRITE 9 00:1f:7 0 EOF\n";
        assert!(is_locked(locks, &[5, 10_010_657]));
        assert!(is_locked(locks, &[42]));
        assert!(!is_locked(locks, &[128, 657, 32_537]));
        assert!(!is_locked("", &[1]));
    }

    #[test]
    fn a_file_without_a_wal_has_nothing_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        assert_eq!(wal(&path), Wal::None);
        std::fs::write(beside(&path, "-wal"), "").unwrap();
        assert_eq!(wal(&path), Wal::None, "an empty one is nothing");
        std::fs::write(beside(&path, "-wal"), "x").unwrap();
        assert_ne!(wal(&path), Wal::None);
    }
}
