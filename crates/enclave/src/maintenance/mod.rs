//! Maintenance: what is done with many keys while their owners are away.
//!
//! A refresh makes new shares of each key under a warrant and lets the old ones end; a drill has the
//! holders check the shares that they have, and releases nothing. The operator asks for one batch
//! after the other, over the host's pipe.
//!
//! # Security
//!
//! The host starts it, and decides nothing: holders hand nothing over without a warrant of t holders'
//! operators that names this image. What is handed over goes from `HandedOver` to shares sealed to
//! the holders, and no function here returns a key or signs with one.

mod drill;
mod holders;
mod keys;
mod listing;
mod refresh;
mod shares;

use keyfold_protocol::error_code::Code;
use keyfold_protocol::gateway_api::{DrillBatch, DrilledBatch, RefreshBatch, RefreshedBatch};

pub(crate) use holders::holders;

use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;

/// Makes new shares of the next keys.
pub(crate) async fn refresh<P: Platform>(
    realm: &Realm<P>,
    asked: RefreshBatch,
) -> Result<RefreshedBatch, Problem> {
    let _alone = realm.maintenance.try_lock().ok_or_else(busy)?;
    let verified = asked.warrant.verify(&realm.verified, realm.now());
    let verified =
        verified.map_err(|error| Problem::new(Code::WarrantInvalid, error.to_string()))?;
    refresh::batch(realm, &asked.warrant, &verified, asked.after).await
}

/// Has the holders check their shares of the next keys.
pub(crate) async fn drill<P: Platform>(
    realm: &Realm<P>,
    asked: DrillBatch,
) -> Result<DrilledBatch, Problem> {
    let _alone = realm.maintenance.try_lock().ok_or_else(busy)?;
    drill::batch(realm, asked.after).await
}

fn busy() -> Problem {
    Problem::new(Code::RateLimited, "another batch is under way")
}
