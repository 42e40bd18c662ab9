//! The drill: holders check their shares against the commitments of the records, and sign the result.
//! Nothing is released.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyfold_protocol::gateway_api::{BadKey, DrilledBatch};
use keyfold_protocol::holder_api::path;
use keyfold_protocol::ids::{Digest32, KeyId};
use keyfold_protocol::maintenance::{Drill, Drilled, KeyShares};

use super::keys::Current;
use super::listing::list;
use super::refresh::read_all;
use crate::holders::first;
use crate::peers::{CallError, to_json};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;

/// Drills the next keys.
pub(super) async fn batch<P: Platform>(
    realm: &Realm<P>,
    after: Option<KeyId>,
) -> Result<DrilledBatch, Problem> {
    let listed = list(realm, u32::MAX, after).await?;
    let mut done = DrilledBatch {
        next: listed.next,
        total: listed.total,
        ..DrilledBatch::default()
    };
    let mut unread = Vec::new();
    let mut keys = Vec::new();
    for found in read_all(realm, listed.keys, &mut unread).await {
        match found {
            None => done.unused += 1,
            Some(key) => keys.push(key),
        }
    }
    // Whose record cannot be read can as little be put together.
    done.bad.extend(unread.into_iter().map(|failed| BadKey {
        owner: failed.owner,
        key: failed.key,
        without: vec![format!("(record: {})", failed.code)],
        usable: false,
    }));
    for batch in keys.chunks(keyfold_protocol::maintenance::MAX_BATCH) {
        ask(realm, batch, &mut done).await?;
    }
    Ok(done)
}

async fn ask<P: Platform>(
    realm: &Realm<P>,
    keys: &[Current],
    done: &mut DrilledBatch,
) -> Result<(), Problem> {
    let nonce = Digest32::random(&mut realm.core.rng()?);
    let asked = realm.holders.ask(|holder| {
        let parts: Option<Vec<KeyShares>> = keys.iter().map(|key| key.part(holder.index)).collect();
        let verified = Arc::clone(&realm.verified);
        async move {
            let drill = Drill {
                nonce,
                keys: parts.ok_or(CallError::Local)?,
            };
            let body = to_json(&drill)?;
            let drilled: Drilled = holder.link.call(path::SHARE_DRILL, &body).await?;
            if drilled.holder != holder.index || !drilled.verify(&verified, &drill) {
                return Err(CallError::Wrong("signed another drill"));
            }
            Ok(drilled)
        }
    });
    let everybody = realm.holders.count();
    let gathered = first(everybody, asked).await.all().await;
    for (index, error) in &gathered.bad {
        tracing::warn!(holder = realm.holders.name(*index), %error, "no word on its shares");
    }
    let words: BTreeMap<u8, Drilled> = gathered.good.into_iter().collect();
    for (at, key) in keys.iter().enumerate() {
        let is_good = |index: u8| {
            let said = words.get(&index);
            said.is_some_and(|said| !said.bad.iter().any(|bad| usize::from(*bad) == at))
        };
        let holders = realm.holders.list();
        let without: Vec<String> = holders
            .iter()
            .filter(|holder| !is_good(holder.index))
            .map(|holder| holder.card.name.clone())
            .collect();
        if without.is_empty() {
            done.good += 1;
            continue;
        }
        done.bad.push(BadKey {
            owner: key.sharing.owner.clone(),
            key: key.sharing.key,
            usable: everybody - without.len() >= usize::from(key.threshold),
            without,
        });
    }
    Ok(())
}
