//! SQLite's locks hold on local disks only: a control store on a network share is refused.

use std::path::{Path, PathBuf};

use crate::port::StoreError;

/// File systems whose locks cannot be trusted between machines.
const REMOTE: [&str; 10] = [
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "afs",
    "ceph",
    "glusterfs",
    "fuse.sshfs",
    "9p",
];

/// Refuses a file on a network file system, where the system says what it is mounted on.
pub(super) fn require(file: &Path) -> Result<(), StoreError> {
    let Ok(mounts) = std::fs::read_to_string("/proc/self/mounts") else {
        return Ok(());
    };
    let Some(directory) = nearest_existing(file) else {
        return Ok(());
    };
    match remote_kind(&mounts, &directory) {
        None => Ok(()),
        Some(kind) => Err(StoreError::Refused(format!(
            "the control store {} lies on a network file system ({kind}), where SQLite's locks do not hold; \
             put it on a local disk or use postgres:// as control.url",
            file.display()
        ))),
    }
}

fn nearest_existing(file: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(file).ok()?;
    absolute
        .ancestors()
        .find_map(|ancestor| ancestor.canonicalize().ok())
}

/// The kind of the network file system that a directory is on; absent for local ones.
fn remote_kind<'a>(mounts: &'a str, directory: &Path) -> Option<&'a str> {
    let (_, kind) = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(point, _)| directory.starts_with(point))
        .max_by_key(|(point, _)| point.len())?;
    REMOTE.contains(&kind).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_point_decides() {
        let mounts = "/dev/sda1 / ext4 rw 0 0\nfiler:/home /home nfs4 rw 0 0\n/dev/sdb1 /home/me/disk xfs rw 0 0\n";
        for (directory, kind) in [
            ("/srv", None),
            ("/home/me", Some("nfs4")),
            ("/home/me/disk/x", None),
            ("/homeless", None),
        ] {
            assert_eq!(
                remote_kind(mounts, Path::new(directory)),
                kind,
                "{directory}"
            );
        }
    }
}
