//! New shares of keys, a batch at a time. The order of steps is that of
//! [`keyfold_protocol::maintenance`], and so is what is left where one fails.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::gateway_api::{FailedKey, RefreshedBatch};
use keyfold_protocol::holder_api::{Empty, path};
use keyfold_protocol::ids::KeyId;
use keyfold_protocol::maintenance::{
    Confirm, HandOver, HandedOver, KeyShares, Retire, SharesAck, Sharing, TakeOver,
};
use keyfold_protocol::warrant::{SignedWarrant, VerifiedWarrant};

use super::keys::{Current, Replaced, replace};
use super::listing::list;
use super::shares::{Envelope, KeyParts, NewShares, open, renew, seal};
use crate::holders::first;
use crate::peers::{CallError, to_json};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Change, Held};

/// Account records that are read or written at the same time.
const AT_ONCE: usize = 8;

/// Refreshes the next keys.
pub(super) async fn batch<P: Platform>(
    realm: &Realm<P>,
    warrant: &SignedWarrant,
    verified: &VerifiedWarrant,
    after: Option<KeyId>,
) -> Result<RefreshedBatch, Problem> {
    let listed = list(realm, verified.generation(), after).await?;
    let mut done = RefreshedBatch {
        next: listed.next,
        left: listed.total,
        ..RefreshedBatch::default()
    };
    let (mut old, mut new) = (Vec::new(), Vec::new());
    for found in read_all(realm, listed.keys, &mut done.failed).await {
        match found {
            None => done.unused += 1,
            Some(key) if key.sharing.generation < verified.generation() => old.push(key),
            // It was cut off after its record was changed.
            Some(key) => new.push(key.sharing),
        }
    }
    let work = Refresh {
        realm,
        warrant,
        verified,
    };
    new.extend(work.renew_all(old, &mut done.failed).await);
    done.refreshed = work.settle_all(new, &mut done.failed).await;
    Ok(done)
}

/// Reads what the records say of keys; `None` of one that no wallet has.
pub(super) async fn read_all<P: Platform>(
    realm: &Realm<P>,
    keys: Vec<(KeyId, AccountRef)>,
    failed: &mut Vec<FailedKey>,
) -> Vec<Option<Current>> {
    let reads = stream::iter(keys).map(|(key, owner)| async move {
        let account = realm
            .records
            .read::<Account>(realm.account_id(&owner))
            .await;
        let found = account.map(|held| held.and_then(|held| Current::of(held.value, key)));
        found.map_err(|problem| why(owner, key, problem))
    });
    let all: Vec<_> = reads.buffered(AT_ONCE).collect().await;
    sift(all, failed)
}

/// What went well; the rest is added to what failed.
fn sift<T>(all: Vec<Result<T, FailedKey>>, failed: &mut Vec<FailedKey>) -> Vec<T> {
    let mut good = Vec::with_capacity(all.len());
    for one in all {
        match one {
            Ok(one) => good.push(one),
            Err(why) => failed.push(why),
        }
    }
    good
}

fn why(owner: AccountRef, key: KeyId, problem: Problem) -> FailedKey {
    FailedKey {
        owner,
        key,
        code: problem.code,
        detail: problem.detail.unwrap_or_default(),
    }
}

fn why_of(sharing: &Sharing, problem: &Problem) -> FailedKey {
    FailedKey {
        owner: sharing.owner.clone(),
        key: sharing.key,
        code: problem.code,
        detail: problem.detail.clone().unwrap_or_default(),
    }
}

struct Refresh<'a, P: Platform> {
    realm: &'a Realm<P>,
    warrant: &'a SignedWarrant,
    verified: &'a VerifiedWarrant,
}

impl<P: Platform> Refresh<'_, P> {
    /// Brings new shares of keys to all holders and into the records; returns those that are there.
    ///
    /// Where a batch fails, each of its keys is tried alone, so that one bad share keeps no other
    /// key from its new ones.
    async fn renew_all(&self, keys: Vec<Current>, failed: &mut Vec<FailedKey>) -> Vec<Sharing> {
        if keys.is_empty() {
            return Vec::new();
        }
        let fresh = match self.share_anew(&keys).await {
            Ok(fresh) => fresh,
            Err(problem) if keys.len() > 1 => {
                tracing::warn!(code = %problem.code, detail = problem.detail, "key by key");
                let mut fresh = Vec::new();
                for key in &keys {
                    match self.share_anew(core::slice::from_ref(key)).await {
                        Ok(one) => fresh.extend(one),
                        Err(problem) => failed.push(why_of(&key.sharing, &problem)),
                    }
                }
                fresh
            }
            Err(problem) => {
                failed.extend(keys.iter().map(|key| why_of(&key.sharing, &problem)));
                return Vec::new();
            }
        };
        let writes = stream::iter(fresh).map(|(was, new)| async move {
            let written = self.write(&was, &new).await;
            written
                .map_err(|problem| why_of(&was.sharing, &problem))
                .map(|()| new.sharing)
        });
        let all: Vec<_> = writes.buffered(AT_ONCE).collect().await;
        sift(all, failed)
    }

    /// From t holders' shares to new ones at all of them.
    async fn share_anew(&self, keys: &[Current]) -> Result<Vec<(Current, Current)>, Problem> {
        let parts = self.hand_over(keys).await?;
        let mut rng = self.realm.core.rng()?;
        let mut batch = Vec::with_capacity(keys.len());
        for (key, parts) in keys.iter().zip(&parts) {
            batch.push(renew(
                self.realm,
                key,
                parts,
                self.verified.generation(),
                &mut rng,
            )?);
        }
        drop(parts);
        self.take_over(&batch).await?;
        let new = batch.into_iter().map(|new| new.current);
        Ok(keys.iter().cloned().zip(new).collect())
    }

    /// Asks all holders at once and goes on once each key has the shares of t of them.
    async fn hand_over(&self, keys: &[Current]) -> Result<Vec<Vec<KeyParts>>, Problem> {
        let realm = self.realm;
        let asked = realm.holders.ask(|holder| {
            let parts: Option<Vec<KeyShares>> =
                keys.iter().map(|key| key.part(holder.index)).collect();
            let body = parts.and_then(|keys| {
                to_json(&HandOver {
                    warrant: self.warrant.clone(),
                    keys,
                })
                .ok()
            });
            async move {
                let body = body.ok_or(CallError::Local)?;
                holder
                    .link
                    .call::<HandedOver>(path::SHARE_HAND_OVER, &body)
                    .await
            }
        });
        let needed = realm.holders.threshold();
        let mut gathered = first(needed, asked).await;
        let mut all: Vec<Vec<KeyParts>> = keys.iter().map(|_| Vec::new()).collect();
        let mut short = Vec::new();
        loop {
            for (index, handed) in gathered.good.drain(..) {
                let asked: Vec<KeyShares> = keys.iter().filter_map(|key| key.part(index)).collect();
                match open(realm, self.envelope(index), &asked, &handed) {
                    Ok(parts) => {
                        for (of_key, part) in all.iter_mut().zip(parts) {
                            of_key.extend(part);
                        }
                    }
                    Err(error) => {
                        tracing::error!(holder = realm.holders.name(index), %error, "shares");
                        short.push((index, error));
                    }
                }
            }
            let poor = all.iter().map(|parts| parts.len() < needed);
            let poor = poor.clone().position(|poor| poor);
            match poor {
                None => break,
                Some(_) if !gathered.rest.is_empty() => gathered.one_more().await,
                Some(at) => {
                    short.append(&mut gathered.bad);
                    let have = all.get(at).map_or(0, Vec::len);
                    let shortage = realm.holders.shortage(needed, &short);
                    return Err(Problem::new(
                        shortage.code,
                        format!(
                            "{have} good shares of {needed}; {}",
                            shortage.detail.unwrap_or_default()
                        ),
                    ));
                }
            }
        }
        Ok(all)
    }

    /// Hands every holder its new shares; all must have them, since the old ones are to end.
    async fn take_over(&self, batch: &[NewShares]) -> Result<(), Problem> {
        let realm = self.realm;
        let keys: Vec<Sharing> = batch
            .iter()
            .map(|new| new.current.sharing.clone())
            .collect();
        let mut bodies: Vec<Arc<[u8]>> = Vec::new();
        for holder in realm.holders.list() {
            let envelope = self.envelope(holder.index);
            let shares = seal(realm, envelope, batch, &mut realm.core.rng()?)?;
            let body = TakeOver {
                warrant: self.warrant.clone(),
                keys: keys.clone(),
                shares,
            };
            let body = to_json(&body).map_err(|_| Problem::internal("shares cannot be written"))?;
            bodies.push(body.into());
        }
        let asked = realm.holders.ask(|holder| {
            let at = usize::from(holder.index).saturating_sub(1);
            let body = bodies.get(at).cloned();
            async move {
                let body = body.ok_or(CallError::Local)?;
                holder
                    .link
                    .call::<Empty>(path::SHARE_TAKE_OVER, &body)
                    .await
            }
        });
        let everybody = realm.holders.count();
        let gathered = first(everybody, asked).await.all().await;
        if gathered.good.len() < everybody {
            return Err(realm.holders.shortage(everybody, &gathered.bad));
        }
        Ok(())
    }

    /// Has the account's record name the new shares.
    async fn write(&self, was: &Current, new: &Current) -> Result<(), Problem> {
        let id = self.realm.account_id(&was.sharing.owner);
        self.realm
            .records
            .change(id, |current: Option<Account>| {
                let mut account = current.ok_or(Code::RecordConflict)?;
                match replace(&mut account, was, new) {
                    Replaced::Done => Ok(Change::Write(account, ())),
                    Replaced::Before => Ok(Change::Keep(())),
                    Replaced::Otherwise => Err(Code::RecordConflict.into()),
                }
            })
            .await
    }

    /// Lets the old shares end of keys whose records name the new ones; returns of how many.
    async fn settle_all(&self, keys: Vec<Sharing>, failed: &mut Vec<FailedKey>) -> u32 {
        let looks = stream::iter(keys).map(|sharing| async move {
            match self.is_held_by_all(&sharing).await {
                Ok(()) => Ok(sharing),
                Err(problem) => Err(why_of(&sharing, &problem)),
            }
        });
        let all: Vec<_> = looks.buffered(AT_ONCE).collect().await;
        let held = sift(all, failed);
        let mut settled = 0;
        for batch in held.chunks(keyfold_protocol::maintenance::MAX_BATCH) {
            match self.settle(batch).await {
                Ok(()) => settled += u32::try_from(batch.len()).unwrap_or(u32::MAX),
                Err(problem) => failed.extend(batch.iter().map(|key| why_of(key, &problem))),
            }
        }
        settled
    }

    /// Checks that every holder remembers a version of the record that names these shares.
    ///
    /// # Security
    ///
    /// A version that fewer remember may still be left behind by a later change, which fewer than t
    /// holders and the host can bring about; then the shares that are named would be gone.
    async fn is_held_by_all(&self, sharing: &Sharing) -> Result<(), Problem> {
        let id = self.realm.account_id(&sharing.owner);
        let held: Held<Account> = self.realm.records.read_held_by_all(id).await?;
        let current = Current::of(held.value.clone(), sharing.key);
        self.realm.records.remember(id, held);
        match current {
            Some(current) if current.sharing == *sharing => Ok(()),
            _ => Err(Code::RecordConflict.into()),
        }
    }

    /// Has every holder state that it has the new shares, shows each the statements of all.
    async fn settle(&self, keys: &[Sharing]) -> Result<(), Problem> {
        let realm = self.realm;
        let everybody = realm.holders.count();
        let unwritten = |_| Problem::internal("shares cannot be named");
        let confirm = Confirm {
            keys: keys.to_vec(),
        };
        let asked = to_json(&confirm).map_err(unwritten)?;
        let asked = realm
            .holders
            .ask_same::<SharesAck>(path::SHARE_CONFIRM, asked);
        let gathered = first(everybody, asked).await.all().await;
        let acks: Vec<SharesAck> = gathered.good.iter().map(|(_, ack)| *ack).collect();
        if acks.len() < everybody {
            return Err(realm.holders.shortage(everybody, &gathered.bad));
        }
        let retire = Retire {
            keys: confirm.keys,
            acks,
        };
        if !retire.is_complete(&realm.verified) {
            return Err(Problem::new(
                Code::HoldersUnavailable,
                "a holder confirmed other shares than it was asked for",
            ));
        }
        let body = to_json(&retire).map_err(unwritten)?;
        let asked = realm.holders.ask_same::<Empty>(path::SHARE_RETIRE, body);
        let gathered = first(everybody, asked).await.all().await;
        // Who did not hear it names the key again when it is asked for old ones.
        if gathered.good.len() < everybody {
            return Err(realm.holders.shortage(everybody, &gathered.bad));
        }
        Ok(())
    }

    fn envelope(&self, holder: u8) -> Envelope {
        Envelope {
            warrant: self.verified.id(),
            holder,
        }
    }
}
