//! Whether a -wal beside a file is in use, or its writer died in the middle of a transaction.
//!
//! A -wal alone says little: the last to close a file removes it, and who only reads cannot. One that ends with a commit
//! holds nothing half done, and the next writer takes it over.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

/// The process namespace that sees every lock of the machine. Source: Linux, `PROC_PID_INIT_INO`.
const WHOLE_MACHINE: &str = "pid:[4026531836]";

/// What a -wal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wal {
    /// There is none, or all that it holds was committed.
    None,
    /// Somebody has the file open.
    InUse,
    /// Nobody has: its writer died in a transaction, and nobody has written to the file since.
    Abandoned,
    /// Nobody is seen to have it open, and not everybody can be seen.
    Unknown,
}

/// Looks at the -wal beside a file. A connection in WAL mode holds locks on the file, or on its -shm, as long as it is
/// open. They are read from the system: to ask for them would take opening the file, and closing it again would drop
/// every lock that this process has on it.
pub(super) fn wal(path: &Path) -> Wal {
    // A -wal that cannot be read is gone, or is not ours to judge.
    if !ends_inside(&beside(path, "-wal")).unwrap_or(false) {
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

/// Whether a -wal ends inside a transaction: its last frame is none that commits. Frames of an earlier round, which bear
/// other salts than the header, are not part of it. Layout: SQLite's file format, "the write-ahead log".
fn ends_inside(wal: &Path) -> std::io::Result<bool> {
    const HEADER: u64 = 32;
    const FRAME: u64 = 24;
    let file = File::open(wal)?;
    let length = file.metadata()?.len();
    if length < HEADER {
        // Nothing was ever committed in it. An empty one is what a checkpoint leaves.
        return Ok(length > 0);
    }
    let number = |at: u64| -> std::io::Result<u32> {
        let mut bytes = [0; 4];
        file.read_exact_at(&mut bytes, at)?;
        Ok(u32::from_be_bytes(bytes))
    };
    let page = u64::from(number(8)?);
    let salts = (number(16)?, number(20)?);
    let mut inside = false;
    let mut at = HEADER;
    while at + FRAME + page <= length && (number(at + 8)?, number(at + 12)?) == salts {
        // A frame that commits says how many pages the database has then.
        inside = number(at + 4)? == 0;
        at += FRAME + page;
    }
    Ok(inside)
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

    /// A -wal with pages of one byte: each frame commits or does not, in this round or an earlier one.
    fn log(frames: &[(bool, bool)]) -> Vec<u8> {
        let word = |n: u32| n.to_be_bytes();
        let mut log = [word(0x377f_0682), word(3_007_000), word(1), word(0)].concat();
        log.extend([word(7), word(8), word(0), word(0)].concat());
        for &(commits, current) in frames {
            let salt = if current { 7 } else { 6 };
            let frame = [word(1), word(commits.into()), word(salt), word(8)];
            log.extend(frame.concat());
            log.extend([0; 9]);
        }
        log
    }

    #[test]
    fn only_a_log_that_ends_inside_a_transaction_has_something_left() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        assert_eq!(wal(&path), Wal::None);
        let left = |bytes: &[u8]| {
            std::fs::write(beside(&path, "-wal"), bytes).unwrap();
            wal(&path) != Wal::None
        };
        let (commit, page) = ((true, true), (false, true));
        assert!(!left(b""), "an empty one is nothing");
        assert!(left(b"x"), "not even its header is whole");
        assert!(!left(&log(&[])));
        assert!(!left(&log(&[page, commit])));
        assert!(left(&log(&[commit, page])));
        assert!(left(&log(&[page, (true, false)])), "an earlier round's");
        assert!(!left(&log(&[commit, (false, false)])), "an earlier round's");
        let torn = log(&[page, commit]);
        assert!(left(&torn[..torn.len() - 1]), "half a frame is none");
    }
}
