//! Directories of servers: locked while their owner lives, swept up by the next one when it was killed.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::getuid;
use tempfile::TempDir;

const PREFIX: &str = "server-";
const LOCK: &str = "owner.lock";

/// The directory of one server, removed on drop.
pub(crate) struct Home {
    directory: TempDir,
    /// Held for as long as the server may live; the kernel frees it when this process dies.
    _owner: File,
}

impl Home {
    /// Makes a directory and removes those whose owner was killed.
    pub(crate) fn create() -> io::Result<Self> {
        let base = base()?;
        let _guard = lock_base(&base)?;
        sweep(&base);
        // Traversable, because PostgreSQL runs as another user when the tests run as root.
        let directory = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o755))
            .tempdir_in(&base)?;
        let owner = File::create(directory.path().join(LOCK))?;
        owner.lock()?;
        Ok(Self {
            directory,
            _owner: owner,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }
}

/// Where this user's servers and templates live.
pub(crate) fn base() -> io::Result<PathBuf> {
    let uid = getuid().as_raw();
    let base = std::env::temp_dir().join(format!("sanderling-testkit-{uid}"));
    fs::create_dir_all(&base)?;
    if fs::symlink_metadata(&base)?.uid() != uid {
        return Err(io::Error::other(format!(
            "{} belongs to another user; remove it or set TMPDIR",
            base.display()
        )));
    }
    Ok(base)
}

/// One process at a time makes, sweeps or templates.
pub(crate) fn lock_base(base: &Path) -> io::Result<File> {
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(base.join("base.lock"))?;
    lock.lock()?;
    Ok(lock)
}

/// Best effort: what cannot be removed now is tried again by the next run.
fn sweep(base: &Path) {
    let Ok(entries) = fs::read_dir(base) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        if ours && File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_owners_directory_survives_the_sweep_and_a_dead_ones_does_not() {
        let living = Home::create().unwrap();
        let dead = base().unwrap().join(crate::unique("server-dead"));
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join(LOCK), "").unwrap();
        let _other = Home::create().unwrap();
        assert!(living.path().exists());
        assert!(!dead.exists());
    }
}
