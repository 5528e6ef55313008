//! Bundles by content hash.

use async_trait::async_trait;
use std::collections::BTreeSet;
use std::time::Duration;

use sanderling_core::{Bundle, BundleFile, BundleHash, Version};

use crate::link::{Fault, Tx, corrupt, each, values};
use crate::perform::{Mode, Verb};

/// The argument of `Store::put_bundle`.
pub(crate) struct PutBundle {
    pub(crate) bundle: Bundle,
}

#[async_trait]
impl Verb for PutBundle {
    type Out = ();
    const NAME: &str = "put_bundle";
    const MODE: Mode = Mode::Write;
    const LIMIT: Duration = Duration::from_secs(120);

    async fn run(&self, tx: &mut Tx<'_>) -> Result<(), Fault> {
        let hash = self.bundle.hash();
        let insert = "INSERT INTO bundles (fleet, hash, created_at) VALUES ($1, $2, {now})
            ON CONFLICT DO NOTHING";
        if tx.exec(insert, values![hash]).await? == 0 {
            return Ok(());
        }
        let files: Vec<_> = self
            .bundle
            .files()
            .iter()
            .map(|file| [&file.name, &file.text])
            .collect();
        let insert = "INSERT INTO bundle_files (fleet, hash, name, body)
            SELECT $1, $3, v ->> 0, v ->> 1 FROM {each}";
        for chunk in files.chunks(200) {
            let mut args = vec![each(chunk)?];
            args.extend(values![hash]);
            tx.exec(insert, args).await?;
        }
        Ok(())
    }
}

/// The argument of `Store::bundle`.
pub(crate) struct GetBundle {
    pub(crate) hash: BundleHash,
}

#[async_trait]
impl Verb for GetBundle {
    type Out = Option<Bundle>;
    const NAME: &str = "bundle";
    const MODE: Mode = Mode::Snapshot;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Option<Bundle>, Fault> {
        let sql = "SELECT hash FROM bundles WHERE fleet = $1 AND hash = $2";
        if tx.row(sql, values![&self.hash]).await?.is_none() {
            return Ok(None);
        }
        let sql = "SELECT name, body FROM bundle_files WHERE fleet = $1 AND hash = $2";
        let rows = tx.rows(sql, values![&self.hash]).await?;
        let files = rows
            .iter()
            .map(|row| {
                Ok(BundleFile {
                    name: row.text(0)?.to_owned(),
                    text: row.text(1)?.to_owned(),
                })
            })
            .collect::<Result<_, Fault>>()?;
        let bundle = Bundle::new(files);
        if *bundle.hash() == self.hash {
            return Ok(Some(bundle));
        }
        Err(corrupt(format!(
            "bundle {} has the content of {}: its files were changed in the control store; \
             restore them, or put the bundle into a new store",
            self.hash,
            bundle.hash()
        )))
    }
}

/// The argument of `Store::files_of_version`.
pub(crate) struct FilesOfVersion {
    pub(crate) version: Version,
}

#[async_trait]
impl Verb for FilesOfVersion {
    type Out = Vec<BundleFile>;
    const NAME: &str = "files_of_version";
    const MODE: Mode = Mode::Single;

    async fn run(&self, tx: &mut Tx<'_>) -> Result<Vec<BundleFile>, Fault> {
        // Ordered by bytes: what begins with `42_` lies between `42_` and `42` followed by the next character.
        let sql = "SELECT name, body FROM bundle_files
            JOIN bundles ON bundles.fleet = $1 AND bundles.hash = bundle_files.hash
            WHERE bundle_files.fleet = $1 AND (name >= $2 AND name < $3 OR name >= $4 AND name < $5)
            ORDER BY created_at DESC, bundle_files.hash, name";
        let v = &self.version;
        let bounds = ["_", "`", ".", "/"].map(|end| format!("{v}{end}"));
        let rows = tx
            .rows(sql, bounds.into_iter().map(Into::into).collect())
            .await?;
        let mut texts = BTreeSet::new();
        let mut files = Vec::new();
        for row in &rows {
            let text = row.text(1)?.to_owned();
            if texts.insert(text.clone()) {
                let name = row.text(0)?.to_owned();
                files.push(BundleFile { name, text });
            }
        }
        Ok(files)
    }
}
