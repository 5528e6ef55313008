//! Which file a place means: always one below the host's directory.

use std::io::ErrorKind;
use std::path::{Component, Path, PathBuf};

use sanderling_core::{ErrorClass, Failure, HostName, Place};

/// The directory that a `sqlite://` URL names, relative ones taken from `base`.
pub(crate) fn directory(host: &HostName, url: &str, base: &Path) -> Result<PathBuf, Failure> {
    let path = url
        .strip_prefix("sqlite://")
        .or_else(|| url.strip_prefix("sqlite:"))
        .unwrap_or_default();
    if path.is_empty() || path.contains('?') || path == ":memory:" {
        return Err(refused(format!(
            "hosts.{host}.url must name a directory: sqlite://data or sqlite:///var/lib/app, without parameters"
        )));
    }
    Ok(base.join(path))
}

/// The file of a place, refused where it is not below the directory: neither `..` nor a link leads out.
pub(crate) fn file(directory: &Path, place: &Place) -> Result<PathBuf, Failure> {
    let Some(name) = &place.file else {
        return Err(refused(format!(
            "{place}: a tenant of a SQLite host needs a file"
        )));
    };
    let relative = match Path::new(name).strip_prefix(directory) {
        Ok(below) => below.to_path_buf(),
        Err(_) => PathBuf::from(name),
    };
    let plain = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !plain || name.contains('\0') || relative.file_name().is_none() {
        return Err(refused(format!(
            "{place}: the file must lie below {}; write it relative to that directory, without '..'",
            directory.display()
        )));
    }
    let path = directory.join(relative);
    if let (Ok(real), Ok(root)) = (nearest_real(&path), directory.canonicalize())
        && !real.is_some_and(|real| real.starts_with(&root))
    {
        return Err(refused(format!(
            "{place}: a link leads out of {}, or nowhere",
            directory.display()
        )));
    }
    Ok(path)
}

/// Whether a file is there. What cannot be told, because a directory may not be read, is no "no".
pub(crate) fn exists(path: &Path) -> Result<bool, Failure> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_file() => Ok(true),
        Ok(_) => Err(refused("this is not a file".to_owned())),
        // Also where a directory on the way is missing, or is a file.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(Failure::new(
            ErrorClass::Permission,
            "io",
            error.to_string(),
        )),
    }
}

/// The path without links, as far as it exists; `None` where that cannot be followed.
fn nearest_real(path: &Path) -> std::io::Result<Option<PathBuf>> {
    let mut at = path;
    loop {
        match at.canonicalize() {
            Ok(real) => return Ok(Some(real)),
            // A link that is there and leads nowhere: a file created through it would appear where it points.
            Err(_) if at.symlink_metadata().is_ok() => return Ok(None),
            Err(error) => at = at.parent().ok_or(error)?,
        }
    }
}

fn refused(message: String) -> Failure {
    Failure::new(ErrorClass::Precondition, "file", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(file: &str) -> Place {
        Place {
            host: HostName::new("files"),
            database: None,
            schema: None,
            file: Some(file.into()),
        }
    }

    #[test]
    fn files_stay_below_the_directory() {
        let root = tempfile::tempdir().unwrap();
        let inside = root.path().join("a/b.db");
        for good in ["a.db", "a/b.db", "./a.db", inside.to_str().unwrap()] {
            assert!(file(root.path(), &place(good)).is_ok(), "{good}");
        }
        for bad in ["../a.db", "a/../../b.db", "/etc/passwd", "", ".", "a\0b"] {
            assert!(file(root.path(), &place(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_link_does_not_lead_out() {
        let (root, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::os::unix::fs::symlink(out.path(), root.path().join("link")).unwrap();
        let failure = file(root.path(), &place("link/a.db")).unwrap_err();
        assert!(failure.message.contains("leads out"));
        // Not there yet: creating it would create a file outside.
        for (link, target) in [("d.db", "new.db"), ("dir", "new")] {
            std::os::unix::fs::symlink(out.path().join(target), root.path().join(link)).unwrap();
        }
        for name in ["d.db", "dir/a.db"] {
            let failure = file(root.path(), &place(name)).unwrap_err();
            assert!(failure.message.contains("leads out"), "{name}");
        }
    }

    #[test]
    fn urls_name_directories() {
        let host = HostName::new("files");
        let of = |url: &str| directory(&host, url, Path::new("/base"));
        assert_eq!(of("sqlite://data").unwrap(), Path::new("/base/data"));
        assert_eq!(of("sqlite:///var/x").unwrap(), Path::new("/var/x"));
        for bad in ["sqlite://", "sqlite::memory:", "sqlite://a?mode=ro"] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
