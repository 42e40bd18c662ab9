//! Shares of keys in batches: which there are, new ones beside the old, and the end of the old.

use keyfold_crypto::Canonical as _;
use keyfold_crypto::commitment::{ShareCommitment, SharePurpose};
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::ids::{AccountId, KeyId};
use keyfold_protocol::maintenance::{
    KeyEntry, KeyPage, KeyQuery, KeyShares, MAX_BATCH, RETIRED_SECONDS, Sharing as Splitting,
};
use keyfold_storage::{StorageError, changed_one, fixed, from_i64, to_i64};
use sqlx::SqliteConnection;

use super::keys::{Sharing, exists, purpose_code, small};
use crate::core::maintenance::take_over::{KeyStanding, STAGED_LIFE, Standing};

type Result<T> = core::result::Result<T, StorageError>;

const LEAF: u8 = purpose_code(SharePurpose::LeafKey);
const ENTROPY: u8 = purpose_code(SharePurpose::Entropy);

/// Returns a page of the keys of earlier generations, in ascending order.
pub(crate) async fn list(connection: &mut SqliteConnection, query: &KeyQuery) -> Result<KeyPage> {
    let after = query.after.map(|key| key.as_bytes().to_vec());
    let rows: Vec<(Vec<u8>, String, Vec<u8>, i64)> = sqlx::query_as(
        "SELECT key, project, account, generation FROM keys
         WHERE key > ? AND generation < ? ORDER BY key LIMIT ?",
    )
    // Nothing is before the empty one.
    .bind(after.unwrap_or_default())
    .bind(i64::from(query.below))
    .bind(to_i64(u64::from(query.limit).min(MAX_BATCH as u64))?)
    .fetch_all(&mut *connection)
    .await?;
    let entry = |(key, project, account, generation): (Vec<u8>, String, Vec<u8>, i64)| {
        let project = project.parse();
        let project = project.map_err(|_| StorageError::Inconsistent("a key's project"))?;
        Ok(KeyEntry {
            key: KeyId::from_bytes(fixed(&key)?),
            owner: AccountRef {
                project,
                account: AccountId::from_bytes(fixed(&account)?),
            },
            generation: small(generation)?,
        })
    };
    let total: i64 = sqlx::query_scalar("SELECT count(*) FROM keys WHERE generation < ?")
        .bind(i64::from(query.below))
        .fetch_one(connection)
        .await?;
    Ok(KeyPage {
        keys: rows.into_iter().map(entry).collect::<Result<_>>()?,
        total: from_i64(total)?,
    })
}

/// A key's sealed shares of one splitting.
#[derive(Debug)]
pub(crate) struct SealedShares {
    pub(crate) leaf: Vec<u8>,
    pub(crate) entropy: Option<Vec<u8>>,
    /// The hash of the splitting, where they came under a warrant.
    pub(crate) digest: Option<Vec<u8>>,
    /// Whether they were retired, and are released for a little longer only.
    pub(crate) ending: bool,
}

/// A row of a share: purpose, commitment, sealed, digest, whether it ends.
type ShareRow = (i64, Vec<u8>, Vec<u8>, Option<Vec<u8>>, bool);

/// Returns the shares that are asked for, looked up together with their owner; nothing unless all
/// of them are here and have not ended.
pub(crate) async fn shares(
    connection: &mut SqliteConnection,
    asked: &KeyShares,
    now: u64,
) -> Result<Option<SealedShares>> {
    let rows: Vec<ShareRow> = sqlx::query_as(
        "SELECT shares.purpose, shares.commitment, sealed_shares.sealed, shares.digest,
                shares.ends IS NOT NULL
         FROM shares
         JOIN keys ON keys.key = shares.key JOIN sealed_shares ON sealed_shares.slot = shares.slot
         WHERE shares.key = ? AND shares.generation = ? AND shares.sharing = ?
           AND keys.project = ? AND keys.account = ?
           AND (shares.ends IS NULL OR shares.ends > ?)",
    )
    .bind(&asked.key.as_bytes()[..])
    .bind(i64::from(asked.generation))
    .bind(&asked.leaf.0[..])
    .bind(asked.owner.project.as_str())
    .bind(&asked.owner.account.as_bytes()[..])
    .bind(to_i64(now)?)
    .fetch_all(connection)
    .await?;
    let (mut leaf, mut entropy) = (None, None);
    for (purpose, commitment, sealed, digest, ending) in rows {
        let wanted = asked
            .entropy
            .is_some_and(|wanted| wanted.0[..] == commitment[..]);
        if purpose == i64::from(LEAF) {
            leaf = Some((sealed, digest, ending));
        } else if purpose == i64::from(ENTROPY) && wanted {
            entropy = Some(sealed);
        }
    }
    let complete = entropy.is_some() == asked.entropy.is_some();
    Ok(leaf
        .filter(|_| complete)
        .map(|(leaf, digest, ending)| SealedShares {
            leaf,
            entropy,
            digest,
            ending,
        }))
}

/// Returns this holder's shares of a splitting that came under a warrant and was not retired.
pub(crate) async fn shares_of(
    connection: &mut SqliteConnection,
    splitting: &Splitting,
    part: &KeyShares,
    now: u64,
) -> Result<Option<SealedShares>> {
    let digest = splitting.digest();
    let found = shares(connection, part, now).await?;
    Ok(found.filter(|shares| !shares.ending && shares.digest.as_deref() == Some(&digest)))
}

/// Stores that shares of a key left the holder, so that it is no new one any more.
pub(crate) async fn mark_released(connection: &mut SqliteConnection, key: KeyId) -> Result<()> {
    let done = sqlx::query("UPDATE keys SET released = 1 WHERE key = ?")
        .bind(&key.as_bytes()[..])
        .execute(connection)
        .await?;
    changed_one(&done)
}

/// Returns what a taking over needs to know of a key.
pub(crate) async fn standing(
    connection: &mut SqliteConnection,
    splitting: &Splitting,
    part: &KeyShares,
    now: u64,
) -> Result<KeyStanding> {
    let key = &splitting.key.as_bytes()[..];
    let settled: Option<i64> = sqlx::query_scalar(
        "SELECT generation FROM keys WHERE key = ? AND project = ? AND account = ?",
    )
    .bind(key)
    .bind(splitting.owner.project.as_str())
    .bind(&splitting.owner.account.as_bytes()[..])
    .fetch_optional(&mut *connection)
    .await?;
    let Some(settled) = settled else {
        return Ok(if exists(connection, splitting.key).await? {
            KeyStanding::Foreign
        } else {
            KeyStanding::Unknown
        });
    };
    let has_entropy: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM shares WHERE key = ? AND purpose = ? AND ends IS NULL)",
    )
    .bind(key)
    .bind(i64::from(ENTROPY))
    .fetch_one(&mut *connection)
    .await?;
    let same: Option<Option<Vec<u8>>> = sqlx::query_scalar(
        "SELECT digest FROM shares
         WHERE key = ? AND generation = ? AND sharing = ? AND purpose = ? AND ends IS NULL",
    )
    .bind(key)
    .bind(i64::from(splitting.generation))
    .bind(&part.leaf.0[..])
    .bind(i64::from(LEAF))
    .fetch_optional(&mut *connection)
    .await?;
    let (staged, droppable): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(CASE WHEN stored <= ? AND promised = 0 THEN 1 END) FROM shares
         WHERE key = ? AND generation = ? AND purpose = ?",
    )
    .bind(to_i64(now.saturating_sub(STAGED_LIFE))?)
    .bind(key)
    .bind(i64::from(splitting.generation))
    .bind(i64::from(LEAF))
    .fetch_one(connection)
    .await?;
    let digest = splitting.digest();
    Ok(KeyStanding::Owned(Standing {
        settled: small(settled)?,
        has_entropy,
        same: same.map(|found| found.as_deref() == Some(&digest)),
        staged: from_i64(staged)?,
        droppable: from_i64(droppable)?,
    }))
}

/// Removes the oldest splitting of a generation that was never promised.
pub(crate) async fn drop_oldest(
    connection: &mut SqliteConnection,
    key: KeyId,
    generation: u32,
) -> Result<()> {
    let oldest: Vec<u8> = sqlx::query_scalar(
        "SELECT sharing FROM shares
         WHERE key = ? AND generation = ? AND purpose = ? AND promised = 0
         ORDER BY stored, sharing LIMIT 1",
    )
    .bind(&key.as_bytes()[..])
    .bind(i64::from(generation))
    .bind(i64::from(LEAF))
    .fetch_one(&mut *connection)
    .await?;
    let oldest = Sharing {
        key,
        generation,
        leaf: ShareCommitment(fixed(&oldest)?),
    };
    super::slots::remove(connection, &oldest).await
}

/// Stores which splitting shares that were just added belong to.
pub(crate) async fn set_digest(
    connection: &mut SqliteConnection,
    splitting: &Splitting,
    part: &KeyShares,
) -> Result<()> {
    sqlx::query("UPDATE shares SET digest = ? WHERE key = ? AND generation = ? AND sharing = ?")
        .bind(&splitting.digest()[..])
        .bind(&splitting.key.as_bytes()[..])
        .bind(i64::from(splitting.generation))
        .bind(&part.leaf.0[..])
        .execute(connection)
        .await?;
    Ok(())
}

/// Stores that this holder signs that it has shares.
pub(crate) async fn promise(connection: &mut SqliteConnection, part: &KeyShares) -> Result<()> {
    sqlx::query("UPDATE shares SET promised = 1 WHERE key = ? AND generation = ? AND sharing = ?")
        .bind(&part.key.as_bytes()[..])
        .bind(i64::from(part.generation))
        .bind(&part.leaf.0[..])
        .execute(connection)
        .await?;
    Ok(())
}

/// What became of a key whose older shares are to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retired {
    /// They end now.
    Now,
    /// They ended before.
    Before,
    /// The key has shares of a later generation only.
    TooOld,
}

/// Settles a key on the shares of a splitting that are here: all others of its generation and of
/// earlier ones end. Those of later ones are on their way in.
pub(crate) async fn retire(
    connection: &mut SqliteConnection,
    part: &KeyShares,
    now: u64,
) -> Result<Retired> {
    let key = &part.key.as_bytes()[..];
    let generation = i64::from(part.generation);
    let settled: i64 = sqlx::query_scalar("SELECT generation FROM keys WHERE key = ?")
        .bind(key)
        .fetch_one(&mut *connection)
        .await?;
    if settled > generation {
        return Ok(Retired::TooOld);
    }
    // An end that is set stays: who asks again does not lengthen it.
    let ended = sqlx::query(
        "UPDATE shares SET ends = ? WHERE key = ? AND ends IS NULL
            AND (generation < ? OR (generation = ? AND sharing <> ?))",
    )
    .bind(to_i64(now.saturating_add(RETIRED_SECONDS))?)
    .bind(key)
    .bind(generation)
    .bind(generation)
    .bind(&part.leaf.0[..])
    .execute(&mut *connection)
    .await?;
    if settled == generation && ended.rows_affected() == 0 {
        return Ok(Retired::Before);
    }
    let done = sqlx::query("UPDATE keys SET generation = ? WHERE key = ?")
        .bind(generation)
        .bind(key)
        .execute(connection)
        .await?;
    changed_one(&done)?;
    Ok(Retired::Now)
}
