//! The realm, the proposal before it, the share of its seed, and the attestation keys stated in it.

use keyfold_protocol::ids::RealmId;
use keyfold_protocol::realm::SignedRealmRecord;
use keyfold_protocol::session::AttestationKeySet;
use keyfold_storage::{StorageError, changed_one, fixed, to_i64};
use sqlx::SqliteConnection;

type Result<T> = core::result::Result<T, StorageError>;

/// Returns the realm's record with its signatures.
pub(crate) async fn load(connection: &mut SqliteConnection) -> Result<Option<SignedRealmRecord>> {
    let text: Option<String> = sqlx::query_scalar("SELECT record FROM realm WHERE id = 1")
        .fetch_optional(connection)
        .await?;
    text.map(|text| {
        serde_json::from_str(&text).map_err(|_| StorageError::Inconsistent("the realm's record"))
    })
    .transpose()
}

/// Returns the id of the realm.
pub(crate) async fn id(connection: &mut SqliteConnection) -> Result<Option<RealmId>> {
    scalar_id(connection, "SELECT realm FROM realm WHERE id = 1").await
}

/// Returns the id of the proposal.
pub(crate) async fn pending(connection: &mut SqliteConnection) -> Result<Option<RealmId>> {
    scalar_id(connection, "SELECT realm FROM pending_genesis WHERE id = 1").await
}

async fn scalar_id(
    connection: &mut SqliteConnection,
    sql: &'static str,
) -> Result<Option<RealmId>> {
    let id: Option<Vec<u8>> = sqlx::query_scalar(sql).fetch_optional(connection).await?;
    id.map(|id| fixed(&id).map(RealmId::from_bytes)).transpose()
}

/// Replaces the proposal and its share of the seed.
pub(crate) async fn propose(
    connection: &mut SqliteConnection,
    realm: RealmId,
    sealed_seed: &[u8],
) -> Result<()> {
    sqlx::query("DELETE FROM seed_share")
        .execute(&mut *connection)
        .await?;
    let seed = sqlx::query("INSERT INTO seed_share (realm, sealed) VALUES (?, ?)")
        .bind(&realm.as_bytes()[..])
        .bind(sealed_seed)
        .execute(&mut *connection)
        .await?;
    changed_one(&seed)?;
    let pending = sqlx::query(
        "INSERT INTO pending_genesis (id, realm) VALUES (1, ?)
         ON CONFLICT (id) DO UPDATE SET realm = excluded.realm",
    )
    .bind(&realm.as_bytes()[..])
    .execute(connection)
    .await?;
    changed_one(&pending)
}

/// Makes the proposal the realm.
pub(crate) async fn commit(
    connection: &mut SqliteConnection,
    realm: RealmId,
    record: &str,
) -> Result<()> {
    let gone = sqlx::query("DELETE FROM pending_genesis WHERE id = 1 AND realm = ?")
        .bind(&realm.as_bytes()[..])
        .execute(&mut *connection)
        .await?;
    changed_one(&gone)?;
    let made = sqlx::query("INSERT INTO realm (id, realm, record) VALUES (1, ?, ?)")
        .bind(&realm.as_bytes()[..])
        .bind(record)
        .execute(connection)
        .await?;
    changed_one(&made)
}

/// Returns the sealed share of the seed.
pub(crate) async fn seed_share(
    connection: &mut SqliteConnection,
    realm: RealmId,
) -> Result<Vec<u8>> {
    Ok(
        sqlx::query_scalar("SELECT sealed FROM seed_share WHERE realm = ?")
            .bind(&realm.as_bytes()[..])
            .fetch_one(connection)
            .await?,
    )
}

/// Returns the attestation keys that were stated last.
pub(crate) async fn attestation_keys(
    connection: &mut SqliteConnection,
) -> Result<AttestationKeySet> {
    let text: Option<String> = sqlx::query_scalar("SELECT keys FROM attestation_keys WHERE id = 1")
        .fetch_optional(connection)
        .await?;
    text.map_or_else(
        || Ok(AttestationKeySet::default()),
        |text| {
            serde_json::from_str(&text)
                .map_err(|_| StorageError::Inconsistent("the attestation keys"))
        },
    )
}

/// Replaces the attestation keys.
pub(crate) async fn set_attestation_keys(
    connection: &mut SqliteConnection,
    keys: &str,
    now: u64,
) -> Result<()> {
    let done = sqlx::query(
        "INSERT INTO attestation_keys (id, keys, stated_at) VALUES (1, ?, ?)
         ON CONFLICT (id) DO UPDATE SET keys = excluded.keys, stated_at = excluded.stated_at",
    )
    .bind(keys)
    .bind(to_i64(now)?)
    .execute(connection)
    .await?;
    changed_one(&done)
}
