//! Parts of the tree under mounts of their own: read-only for a while, or with little room. These tests may run as root,
//! whom no mode stops.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sanderling_testkit::Process;

/// A mount; taken away again on drop.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// A path mounted on itself.
    pub(crate) fn bind(path: &Path) -> Self {
        mount(&["--bind"], &[path, path]);
        Self(path.to_owned())
    }

    /// Room for so many bytes in memory, over this directory; its owner stays the owner.
    pub(crate) fn room(path: &Path, bytes: u64) -> Self {
        use std::os::unix::fs::MetadataExt;
        let meta = std::fs::metadata(path).unwrap();
        let options = format!(
            "size={bytes},uid={},gid={},mode=700",
            meta.uid(),
            meta.gid()
        );
        mount(
            &["-t", "tmpfs", "-o", &options],
            &[Path::new("tmpfs"), path],
        );
        Self(path.to_owned())
    }

    /// `ro` or `rw`.
    pub(crate) fn remount(&self, how: &str) {
        mount(&["-o", &format!("remount,bind,{how}")], &[&self.0]);
    }

    /// Takes all the room that is left, until the answer is dropped.
    pub(crate) fn filled(&self) -> Filler {
        use std::io::Write;
        let path = self.0.join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        // The smaller last, so that not even a page is left.
        for size in [1 << 16, 1 << 9, 1] {
            let zeros = vec![0; size];
            while file.write_all(&zeros).is_ok() {}
        }
        Filler(path)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .status();
    }
}

/// What takes the room.
pub(crate) struct Filler(PathBuf);

impl Drop for Filler {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn mount(options: &[&str], paths: &[&Path]) {
    let mut command = Process::command("mount");
    command.args(options).args(paths);
    let ended = Process::spawn(command).wait_with_deadline(Duration::from_secs(30));
    assert!(
        ended.status.success(),
        "this test mounts {paths:?}, which needs the right to mount: {}",
        ended.stderr
    );
}
