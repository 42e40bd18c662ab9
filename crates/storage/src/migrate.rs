//! Embedded migrations: applied once, in order, all or none, never forgotten.

use sha2::{Digest, Sha256};
use sqlx::{Sqlite, Transaction};

use crate::database::Database;

/// One step of a schema. Once released, it never changes; corrections are new steps.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// What it does, for the operator.
    pub name: &'static str,
    /// The SQL, one statement or several, usually by `include_str!`.
    pub sql: &'static str,
}

impl Migration {
    fn checksum(&self) -> [u8; 32] {
        Sha256::digest(self.sql.as_bytes()).into()
    }
}

/// Why a database was not brought to the schema of this release.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrateError {
    /// The database failed, or refused a migration; nothing of this run was applied.
    #[error("the database refused the migration {name}")]
    Driver {
        /// The migration, or what was done around it.
        name: &'static str,
        /// What SQLite said.
        #[source]
        source: sqlx::Error,
    },
    /// A newer release wrote this database.
    #[error("the database has {found} migrations, this release knows {known}; use the newer one")]
    NewerSchema {
        /// How many migrations the database has seen.
        found: usize,
        /// How many this release has.
        known: usize,
    },
    /// A migration that was applied is not the one this release has in its place.
    #[error("migration {version} ({name}) is not the one that was applied")]
    Changed {
        /// Its number, from 1.
        version: usize,
        /// Its name in this release.
        name: &'static str,
    },
}

/// Brings the database to the schema of this release, in one transaction.
///
/// The place in the list is the version: the list only grows.
///
/// # Errors
///
/// [`MigrateError`]; the database is then as it was.
pub async fn migrate(db: &Database, migrations: &[Migration]) -> Result<(), MigrateError> {
    let driver = |name| move |source| MigrateError::Driver { name, source };
    let mut tx = db
        .writer()
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(driver("(begin)"))?;
    let applied = applied(&mut tx)
        .await
        .map_err(driver("(reading what is applied)"))?;
    if applied.len() > migrations.len() {
        return Err(MigrateError::NewerSchema {
            found: applied.len(),
            known: migrations.len(),
        });
    }
    for (index, migration) in migrations.iter().enumerate() {
        let version = index + 1;
        match applied.get(index) {
            Some((number, checksum)) => {
                if i64::try_from(version) != Ok(*number) || *checksum != migration.checksum() {
                    return Err(MigrateError::Changed {
                        version,
                        name: migration.name,
                    });
                }
            }
            None => {
                apply(&mut tx, version, migration)
                    .await
                    .map_err(driver(migration.name))?;
            }
        }
    }
    tx.commit().await.map_err(driver("(commit)"))
}

async fn applied(tx: &mut Transaction<'_, Sqlite>) -> Result<Vec<(i64, Vec<u8>)>, sqlx::Error> {
    sqlx::query(
        "CREATE TABLE IF NOT EXISTS schema_migrations (
            version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum BLOB NOT NULL
        ) STRICT",
    )
    .execute(&mut **tx)
    .await?;
    sqlx::query_as("SELECT version, checksum FROM schema_migrations ORDER BY version")
        .fetch_all(&mut **tx)
        .await
}

async fn apply(
    tx: &mut Transaction<'_, Sqlite>,
    version: usize,
    migration: &Migration,
) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(migration.sql).execute(&mut **tx).await?;
    sqlx::query("INSERT INTO schema_migrations (version, name, checksum) VALUES (?, ?, ?)")
        .bind(i64::try_from(version).unwrap_or(i64::MAX))
        .bind(migration.name)
        .bind(&migration.checksum()[..])
        .execute(&mut **tx)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Migration = Migration {
        name: "one",
        sql: "CREATE TABLE a (x INTEGER) STRICT;",
    };
    const TWO: Migration = Migration {
        name: "two",
        sql: "CREATE TABLE b (x INTEGER) STRICT; INSERT INTO b VALUES (7);",
    };

    async fn fresh() -> (tempfile::TempDir, Database) {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(dir.path().join("db")).await.unwrap();
        (dir, db)
    }

    async fn tables(db: &Database) -> Vec<String> {
        sqlx::query_scalar("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
            .fetch_all(db.readers())
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn a_longer_list_is_applied_from_where_the_database_stands() {
        let (_dir, db) = fresh().await;
        migrate(&db, &[ONE]).await.unwrap();
        migrate(&db, &[ONE, TWO]).await.unwrap();
        migrate(&db, &[ONE, TWO]).await.unwrap();
        assert_eq!(tables(&db).await, ["a", "b", "schema_migrations"]);
        let rows: i64 = sqlx::query_scalar("SELECT count(*) FROM b")
            .fetch_one(db.readers())
            .await
            .unwrap();
        assert_eq!(rows, 1);
    }

    #[tokio::test]
    async fn a_database_from_a_newer_release_is_refused() {
        let (_dir, db) = fresh().await;
        migrate(&db, &[ONE, TWO]).await.unwrap();
        let refused = migrate(&db, &[ONE]).await;
        assert!(matches!(
            refused,
            Err(MigrateError::NewerSchema { found: 2, known: 1 })
        ));
    }

    #[tokio::test]
    async fn a_migration_edited_after_its_release_is_refused() {
        let (_dir, db) = fresh().await;
        migrate(&db, &[ONE]).await.unwrap();
        let edited = Migration {
            sql: "CREATE TABLE a (y INTEGER) STRICT;",
            ..ONE
        };
        let refused = migrate(&db, &[edited, TWO]).await;
        assert!(matches!(
            refused,
            Err(MigrateError::Changed { version: 1, .. })
        ));
        assert_eq!(tables(&db).await, ["a", "schema_migrations"]);
    }

    #[tokio::test]
    async fn a_failing_migration_leaves_nothing_of_the_run() {
        let (_dir, db) = fresh().await;
        let broken = Migration {
            name: "broken",
            sql: "CREATE TABLE c (x INTEGER); CREATE TABLE;",
        };
        let refused = migrate(&db, &[ONE, broken]).await;
        assert!(matches!(
            refused,
            Err(MigrateError::Driver { name: "broken", .. })
        ));
        assert!(tables(&db).await.is_empty());
        migrate(&db, &[ONE, TWO]).await.unwrap();
    }
}
