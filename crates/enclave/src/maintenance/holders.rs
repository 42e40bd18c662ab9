//! How the holders are.

use keyfold_protocol::gateway_api::{HolderState, HolderStates};

use crate::holders::first;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::{Realm, ask_times};

/// Asks every holder for its time, signed, and says what keeps one from being of use.
pub(crate) async fn holders<P: Platform>(realm: &Realm<P>) -> Result<HolderStates, Problem> {
    let asked = ask_times(&realm.core, &realm.holders)?;
    let gathered = first(realm.holders.count(), asked).await.all().await;
    let record = realm.verified.record();
    let states = realm.holders.list().iter().map(|holder| {
        let mut bad = gathered.bad.iter();
        let trouble = bad.find(|(index, _)| *index == holder.index);
        HolderState {
            index: holder.index,
            name: holder.card.name.clone(),
            party: holder.card.party.clone(),
            region: holder.card.region.clone(),
            address: holder.card.address.clone(),
            trouble: trouble.map(|(_, error)| error.to_string()),
        }
    });
    Ok(HolderStates {
        realm: realm.verified.id(),
        serial: record.serial,
        threshold: record.threshold,
        holders: states.collect(),
    })
}
