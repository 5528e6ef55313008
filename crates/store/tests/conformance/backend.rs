//! Where a test's store lives.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sanderling_store::{Store, StoreError};
use sanderling_testkit::{Postgres, scratch, unique};
use tempfile::TempDir;

/// A place for one store, and a fleet nobody else uses.
pub(crate) struct Backend {
    pub(crate) url: String,
    pub(crate) fleet: String,
    directory: TempDir,
}

impl Backend {
    /// A fresh database of the run's PostgreSQL server.
    pub(crate) fn postgres() -> Self {
        Self::at(Postgres::shared().create_database())
    }

    /// A fresh file, in a directory that does not exist yet.
    pub(crate) fn sqlite() -> Self {
        Self::at("sqlite://not/there/yet/control.db".to_owned())
    }

    fn at(url: String) -> Self {
        Self {
            url,
            fleet: unique("fleet"),
            directory: scratch(),
        }
    }

    pub(crate) fn base(&self) -> &Path {
        self.directory.path()
    }

    /// The file, where the store is one.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        let path = self.url.strip_prefix("sqlite://")?;
        Some(self.base().join(path))
    }

    pub(crate) async fn open(&self) -> Arc<dyn Store> {
        self.open_as(&self.fleet).await
    }

    pub(crate) async fn open_as(&self, fleet: &str) -> Arc<dyn Store> {
        sanderling_store::open(&self.url, fleet, self.base())
            .await
            .unwrap()
    }

    pub(crate) async fn look(&self) -> Result<Option<Arc<dyn Store>>, StoreError> {
        sanderling_store::open_existing(&self.url, &self.fleet, self.base()).await
    }

    /// Makes the store out of a dump.
    pub(crate) async fn load(&self, dump: &str) {
        let Some(file) = self.file() else {
            Postgres::shared().sql(&self.url, dump);
            return;
        };
        use sqlx::ConnectOptions;
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let options = sqlx::sqlite::SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true);
        let mut connection = options.connect().await.unwrap();
        let dump = sqlx::raw_sql(sqlx::AssertSqlSafe(dump.to_owned()));
        dump.execute(&mut connection).await.unwrap();
    }

    /// Runs SQL behind the store's back; the first column of the first row, as text.
    pub(crate) async fn sql(&self, sql: &str) -> String {
        match self.file() {
            None => Postgres::shared().sql(
                &self.url,
                &format!("SET search_path = sanderling_control; {sql}"),
            ),
            Some(file) => {
                use sqlx::{ConnectOptions, Row};
                let options = sqlx::sqlite::SqliteConnectOptions::new().filename(file);
                let mut connection = options.connect().await.unwrap();
                let query = sqlx::query(sqlx::AssertSqlSafe(sql.to_owned()));
                let row = query.fetch_optional(&mut connection).await.unwrap();
                row.map(|row| row.try_get_unchecked::<String, _>(0).unwrap())
                    .unwrap_or_default()
            }
        }
    }
}
