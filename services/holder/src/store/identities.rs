//! What vouches for new devices of accounts.

use keyfold_crypto::jwk::Thumbprint;
use keyfold_identity::passkey::WitnessedPasskey;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::ids::Digest32;
use keyfold_storage::{StorageError, changed_one, from_i64, to_i64};
use sqlx::SqliteConnection;

use crate::core::evidence::{Binding, Bound, Known};

type Result<T> = core::result::Result<T, StorageError>;

/// Finds a passkey of an account by the hash of its id.
pub(crate) async fn passkey(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    credential: Digest32,
) -> Result<Option<Bound<WitnessedPasskey>>> {
    let row: Option<(String, bool, i64)> = sqlx::query_as(
        "SELECT passkey, device IS NOT NULL, counts_from FROM passkeys
         WHERE project = ? AND account = ? AND credential = ?",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(&credential.as_bytes()[..])
    .fetch_optional(connection)
    .await?;
    row.map(|(passkey, is_backed, counts_from)| {
        Ok(Bound {
            what: serde_json::from_str(&passkey)
                .map_err(|_| StorageError::Inconsistent("a stored passkey is malformed"))?,
            is_backed,
            counts_from: from_i64(counts_from)?,
        })
    })
    .transpose()
}

/// Keeps what became of a passkey's counter, and by whom it was named.
pub(crate) async fn set_passkey(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    credential: Digest32,
    passkey: &WitnessedPasskey,
    named_by: Option<Thumbprint>,
) -> Result<()> {
    let done = sqlx::query(
        "UPDATE passkeys SET passkey = ?, device = coalesce(?, device)
         WHERE project = ? AND account = ? AND credential = ?",
    )
    .bind(to_json(passkey)?)
    .bind(named_by.as_ref().map(|device| &device.0[..]))
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(&credential.as_bytes()[..])
    .execute(connection)
    .await?;
    changed_one(&done)
}

/// Finds whom an issuer names, among those that are the account's.
pub(crate) async fn subject(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    subject: Digest32,
) -> Result<Option<Bound<()>>> {
    let row: Option<(bool, i64)> = sqlx::query_as(
        "SELECT device IS NOT NULL, counts_from FROM subjects
         WHERE project = ? AND account = ? AND subject = ?",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(&subject.as_bytes()[..])
    .fetch_optional(connection)
    .await?;
    row.map(|(is_backed, counts_from)| {
        Ok(Bound {
            what: (),
            is_backed,
            counts_from: from_i64(counts_from)?,
        })
    })
    .transpose()
}

/// Notes by whom an issuer's word was named.
pub(crate) async fn set_subject(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    subject: Digest32,
    named_by: Thumbprint,
) -> Result<()> {
    let done = sqlx::query(
        "UPDATE subjects SET device = ? WHERE project = ? AND account = ? AND subject = ?",
    )
    .bind(&named_by.0[..])
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(&subject.as_bytes()[..])
    .execute(connection)
    .await?;
    changed_one(&done)
}

/// Has what a device bound, or named last, vouch for nothing until another one names it.
pub(crate) async fn disown(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    device: Thumbprint,
) -> Result<()> {
    let statements = [
        "UPDATE passkeys SET device = NULL WHERE project = ? AND account = ? AND device = ?",
        "UPDATE subjects SET device = NULL WHERE project = ? AND account = ? AND device = ?",
    ];
    each(connection, owner, device, statements).await
}

/// The same for every device but one, known here or not.
pub(crate) async fn disown_but(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    device: Thumbprint,
) -> Result<()> {
    let statements = [
        "UPDATE passkeys SET device = NULL WHERE project = ? AND account = ? AND device <> ?",
        "UPDATE subjects SET device = NULL WHERE project = ? AND account = ? AND device <> ?",
    ];
    each(connection, owner, device, statements).await
}

async fn each(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    device: Thumbprint,
    statements: [&'static str; 2],
) -> Result<()> {
    for statement in statements {
        sqlx::query(statement)
            .bind(owner.project.as_str())
            .bind(&owner.account.as_bytes()[..])
            .bind(&device.0[..])
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Returns what a decision about an identity needs to know.
pub(crate) async fn known(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    binding: &Binding,
) -> Result<Known> {
    let count: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM passkeys WHERE project = ?1 AND account = ?2)
              + (SELECT count(*) FROM subjects WHERE project = ?1 AND account = ?2)",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .fetch_one(&mut *connection)
    .await?;
    let count = from_i64(count)?;
    Ok(match binding {
        Binding::Passkey {
            credential,
            passkey: shown,
        } => {
            let kept = passkey(connection, owner, *credential).await?;
            Known {
                counts_from: kept.as_ref().map(|kept| kept.counts_from),
                is_backed: kept.as_ref().is_some_and(|kept| kept.is_backed),
                same_key: kept.is_none_or(|kept| kept.what.is_same_key(shown)),
                count,
            }
        }
        Binding::Subject(shown) => {
            let kept = subject(connection, owner, *shown).await?;
            Known {
                counts_from: kept.as_ref().map(|kept| kept.counts_from),
                is_backed: kept.is_some_and(|kept| kept.is_backed),
                same_key: true,
                count,
            }
        }
    })
}

/// Binds an identity to an account on the word of a device, or has one that is bound count
/// otherwise.
pub(crate) async fn bind(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    (identity, binding): (Digest32, &Binding),
    device: Thumbprint,
    counts_from: u64,
    now: u64,
) -> Result<()> {
    let done = match binding {
        Binding::Passkey {
            credential,
            passkey,
        } => {
            sqlx::query(
                "INSERT INTO passkeys
                    (project, account, credential, identity, device, counts_from, added, passkey)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE
                 SET counts_from = excluded.counts_from, device = excluded.device",
            )
            .bind(owner.project.as_str())
            .bind(&owner.account.as_bytes()[..])
            .bind(&credential.as_bytes()[..])
            .bind(&identity.as_bytes()[..])
            .bind(&device.0[..])
            .bind(to_i64(counts_from)?)
            .bind(to_i64(now)?)
            .bind(to_json(passkey)?)
            .execute(connection)
            .await?
        }
        Binding::Subject(subject) => {
            sqlx::query(
                "INSERT INTO subjects
                    (project, account, subject, identity, device, counts_from, added)
                 VALUES (?, ?, ?, ?, ?, ?, ?)
                 ON CONFLICT DO UPDATE
                 SET counts_from = excluded.counts_from, device = excluded.device",
            )
            .bind(owner.project.as_str())
            .bind(&owner.account.as_bytes()[..])
            .bind(&subject.as_bytes()[..])
            .bind(&identity.as_bytes()[..])
            .bind(&device.0[..])
            .bind(to_i64(counts_from)?)
            .bind(to_i64(now)?)
            .execute(connection)
            .await?
        }
    };
    changed_one(&done)
}

/// Takes an identity off an account; tells whether it was bound.
pub(crate) async fn unbind(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    identity: Digest32,
) -> Result<bool> {
    let mut gone = 0;
    for statement in [
        "DELETE FROM passkeys WHERE project = ? AND account = ? AND identity = ?",
        "DELETE FROM subjects WHERE project = ? AND account = ? AND identity = ?",
    ] {
        let done = sqlx::query(statement)
            .bind(owner.project.as_str())
            .bind(&owner.account.as_bytes()[..])
            .bind(&identity.as_bytes()[..])
            .execute(&mut *connection)
            .await?;
        gone += done.rows_affected();
    }
    Ok(gone > 0)
}

/// Tells whether an identity is bound to an account.
pub(crate) async fn is_bound(
    connection: &mut SqliteConnection,
    owner: &AccountRef,
    identity: Digest32,
) -> Result<bool> {
    let count: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM passkeys
                 WHERE project = ?1 AND account = ?2 AND identity = ?3)
              + (SELECT count(*) FROM subjects
                 WHERE project = ?1 AND account = ?2 AND identity = ?3)",
    )
    .bind(owner.project.as_str())
    .bind(&owner.account.as_bytes()[..])
    .bind(&identity.as_bytes()[..])
    .fetch_one(connection)
    .await?;
    Ok(count > 0)
}

fn to_json(passkey: &WitnessedPasskey) -> Result<String> {
    serde_json::to_string(passkey).map_err(|_| StorageError::Inconsistent("a passkey has no JSON"))
}
