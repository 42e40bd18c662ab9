//! Attempts that are counted where nobody can take them back: at the holders.

use keyfold_protocol::error_code::Code;
use keyfold_protocol::evidence::AccountRef;
use keyfold_protocol::holder_api::{AttemptReserve, Empty, path};
use keyfold_protocol::ids::{Digest32, ProjectId};

pub(in crate::operations) use keyfold_protocol::holder_api::AttemptKind as Kind;

use super::Asker;
use crate::holders::first;
use crate::peers::to_json;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;

/// Counts an attempt against an identity, t holders having to allow it.
///
/// Each device that the account knows has a count of its own beside the one that all strangers
/// share, so that they can use up only that.
pub(super) async fn reserve<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    kind: Kind,
    identity: &Digest32,
    known_device: bool,
) -> Result<(), Problem> {
    let device = known_device.then_some(&asker.device.0[..]);
    let subject = realm.keys.attempts(identity.as_bytes(), device);
    count(realm, asker.project, kind, subject).await
}

/// Counts an attempt of somebody who is signed in to the account.
pub(in crate::operations) async fn reserve_for_account<P: Platform>(
    realm: &Realm<P>,
    owner: &AccountRef,
    kind: Kind,
) -> Result<(), Problem> {
    let subject = realm.keys.attempts(owner.account.as_bytes(), None);
    count(realm, &owner.project, kind, subject).await
}

/// Uses a verified token up, at whichever instance it is shown.
///
/// # Security
///
/// What is counted is what the issuer signed, not the signature: of one token anybody can write
/// several (ECDSA), and each would be another one. Each holder allows it once, and t are more than
/// half, so that of several instances at once one gets it.
pub(super) async fn use_up_token<P: Platform>(
    realm: &Realm<P>,
    project: &ProjectId,
    token: &str,
) -> Result<(), Problem> {
    let signed = token.rsplit_once('.').map_or(token, |(signed, _)| signed);
    let subject = realm.keys.attempts(signed.as_bytes(), None);
    let counted = count(realm, project, Kind::Token, subject).await;
    counted.map_err(|problem| match problem.code {
        Code::AttemptLimit => Code::SignInRefused.into(),
        _ => problem,
    })
}

async fn count<P: Platform>(
    realm: &Realm<P>,
    project: &ProjectId,
    kind: Kind,
    subject: Digest32,
) -> Result<(), Problem> {
    let reserve = AttemptReserve {
        project: project.clone(),
        subject,
        kind,
    };
    let body = to_json(&reserve).map_err(|_| Problem::internal("an attempt cannot be counted"))?;
    let needed = realm.holders.threshold();
    let asked = realm.holders.ask_same::<Empty>(path::ATTEMPT_RESERVE, body);
    let gathered = first(needed, asked).await;
    if gathered.good.len() < needed {
        return Err(realm.holders.shortage(needed, &gathered.bad));
    }
    gathered.let_rest_finish(&realm.core);
    Ok(())
}
