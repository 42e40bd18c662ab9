//! What a thief of a machine's disk can do: read, change and put back its files.

use std::path::{Path, PathBuf};

use keyfold_client::Wallet;
use keyfold_crypto::commitment::{CommittedShare, SharePurpose};
use keyfold_crypto::envelope::{Aad, KeyRing};
use keyfold_crypto::{Encoder, SecretBytes};
use keyfold_storage::{Database, MasterKey};
use keyfold_testkit::system::System;

use super::Person;

/// The database of a holder, counted from 0.
pub(crate) fn holder_db(system: &System, number: usize) -> PathBuf {
    system.files().holder(number).join("holder.db")
}

pub(crate) fn gateway_db(system: &System) -> PathBuf {
    system.files().gateway().join("gateway.db")
}

/// A copy of a database whose process does not run.
pub(crate) struct Snapshot {
    path: PathBuf,
    files: Vec<(PathBuf, Vec<u8>)>,
}

fn parts(path: &Path) -> Vec<PathBuf> {
    let name = path.to_str().unwrap();
    ["", "-wal", "-shm"]
        .map(|end| PathBuf::from(format!("{name}{end}")))
        .into()
}

impl Snapshot {
    pub(crate) fn take(path: PathBuf) -> Self {
        let there = parts(&path).into_iter().filter(|part| part.exists());
        let files = there
            .map(|part| (part.clone(), std::fs::read(part).unwrap()))
            .collect();
        Self { path, files }
    }

    pub(crate) fn put_back(&self) {
        for part in parts(&self.path) {
            if part.exists() {
                std::fs::remove_file(part).unwrap();
            }
        }
        for (part, bytes) in &self.files {
            std::fs::write(part, bytes).unwrap();
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(part, private).unwrap();
        }
    }
}

/// Removes a device from a holder's lists; returns how many rows that were.
pub(crate) async fn forget_device(system: &System, number: usize, person: &Person) -> u64 {
    let database = Database::open(holder_db(system, number)).await.unwrap();
    let done = sqlx::query("DELETE FROM devices WHERE device = ?")
        .bind(person.session.device().0.to_vec())
        .execute(database.writer())
        .await
        .unwrap();
    database.close().await;
    done.rows_affected()
}

/// How often a holder gave a share of a user's key away, took one in, or changed a list: everything
/// in its log that is not about enclaves themselves.
///
/// Waits until what was asked before has been written down: nobody waits for the slowest holder.
pub(crate) async fn uses(system: &System, number: usize) -> usize {
    const REGISTERED: u8 = 1;
    const KEYS_STATED: u8 = 8;
    let before_the_kind = Encoder::new("keyfold/holder-log-entry/v1")
        .bytes(&[0; 32])
        .u64(0)
        .bytes(&[0; 16])
        .finish()
        .len();
    let database = Database::open(holder_db(system, number)).await.unwrap();
    let mut last = None;
    let uses = loop {
        let entries: Vec<Vec<u8>> = sqlx::query_scalar("SELECT entry FROM log_entries")
            .fetch_all(database.readers())
            .await
            .unwrap();
        let kinds = entries.iter().map(|entry| entry[before_the_kind]);
        let uses = kinds
            .filter(|kind| ![REGISTERED, KEYS_STATED].contains(kind))
            .count();
        if last == Some(uses) {
            break uses;
        }
        last = Some(uses);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    database.close().await;
    uses
}

/// The same of all three holders.
pub(crate) async fn all_uses(system: &System) -> [usize; 3] {
    [
        uses(system, 0).await,
        uses(system, 1).await,
        uses(system, 2).await,
    ]
}

const fn code(purpose: SharePurpose) -> u8 {
    match purpose {
        SharePurpose::Seed => 1,
        SharePurpose::Entropy => 2,
        SharePurpose::LeafKey => 3,
    }
}

/// Opens a share with everything that is in a holder's folder: database and master key.
pub(crate) async fn open_share(
    system: &System,
    number: usize,
    person: &Person,
    wallet: &Wallet,
    purpose: SharePurpose,
) -> CommittedShare {
    let database = Database::open(holder_db(system, number)).await.unwrap();
    let (sharing, sealed): (Vec<u8>, Vec<u8>) = sqlx::query_as(
        "SELECT sharing, sealed FROM shares JOIN sealed_shares USING (slot)
             WHERE key = ? AND purpose = ?",
    )
    .bind(wallet.key().as_bytes().to_vec())
    .bind(i64::from(code(purpose)))
    .fetch_one(database.readers())
    .await
    .unwrap();
    database.close().await;
    let row = Encoder::new("keyfold/holder-share-row/v1")
        .str(person.project.id.as_str())
        .bytes(person.session.account().as_bytes())
        .bytes(wallet.key().as_bytes())
        .bytes(&sharing)
        .u8(code(purpose))
        .finish();
    let opened = open_cell(system, number, "shares", &row, 1, &sealed);
    opened.expose(CommittedShare::from_bytes).unwrap()
}

/// Opens a holder's share of the realm's seed.
pub(crate) async fn open_seed_share(system: &System, number: usize) -> CommittedShare {
    let database = Database::open(holder_db(system, number)).await.unwrap();
    let (realm, sealed): (Vec<u8>, Vec<u8>) =
        sqlx::query_as("SELECT realm, sealed FROM seed_share")
            .fetch_one(database.readers())
            .await
            .unwrap();
    database.close().await;
    let opened = open_cell(system, number, "seed_share", &realm, 0, &sealed);
    opened.expose(CommittedShare::from_bytes).unwrap()
}

/// The ring of a holder's master key.
pub(crate) fn ring(system: &System, number: usize) -> KeyRing {
    let master = MasterKey::load(&system.files().holder(number).join("master.key")).unwrap();
    KeyRing::new(master.to_envelope_key())
}

fn open_cell(
    system: &System,
    number: usize,
    table: &str,
    row: &[u8],
    version: u64,
    sealed: &[u8],
) -> SecretBytes {
    let aad = Aad {
        table,
        row,
        column: "sealed",
        version,
    };
    ring(system, number).open(&aad, sealed).unwrap()
}

/// Every sealed record that the gateway stores.
/// A sealed version of a record, as the host keeps it.
pub(crate) struct SealedVersion {
    pub(crate) record: Vec<u8>,
    pub(crate) version: u64,
    pub(crate) sealed: Vec<u8>,
}

impl SealedVersion {
    /// Opens it with `ring` as a record of the first kind that fits, which is its own if any.
    pub(crate) fn open(&self, ring: &KeyRing) -> Option<SecretBytes> {
        ["realm-keys", "project", "identity", "account"]
            .into_iter()
            .find_map(|column| {
                let aad = Aad {
                    table: "record",
                    row: &self.record,
                    column,
                    version: self.version,
                };
                ring.open(&aad, &self.sealed).ok()
            })
    }
}

pub(crate) async fn sealed_versions(system: &System) -> Vec<SealedVersion> {
    let database = Database::open(gateway_db(system)).await.unwrap();
    let rows: Vec<(Vec<u8>, i64, Vec<u8>)> =
        sqlx::query_as("SELECT record, version, sealed FROM record_versions")
            .fetch_all(database.readers())
            .await
            .unwrap();
    database.close().await;
    rows.into_iter()
        .map(|(record, version, sealed)| SealedVersion {
            record,
            version: version.try_into().unwrap(),
            sealed,
        })
        .collect()
}

pub(crate) async fn sealed_records(system: &System) -> Vec<Vec<u8>> {
    let versions = sealed_versions(system).await;
    versions.into_iter().map(|record| record.sealed).collect()
}
