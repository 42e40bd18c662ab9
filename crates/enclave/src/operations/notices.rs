//! Mails that tell an account's owner what became of its devices.

use std::sync::Arc;

use keyfold_identity::EmailAddress;
use keyfold_identity::mail::{ComposedMail, DisplayName, Notice, Sender};
use rand_core::Rng;

use super::sign_in::EMAIL;
use crate::limits::NOTICE_ADDRESSES;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Project};

/// Who a project's mail comes from.
pub(super) fn sender(project: &Project) -> Result<Sender, Problem> {
    let unusable = || Problem::internal("a stored project cannot send mail");
    Ok(Sender {
        name: DisplayName::parse(&project.display_name).map_err(|_| unusable())?,
        address: EmailAddress::parse(&project.mail.from).map_err(|_| unusable())?,
    })
}

/// Mails a notice to the addresses that an account signs in with, in the background.
///
/// Nothing waits for it and nothing fails by it: what it is about has happened. Whether one more is
/// within the limit was counted in the account's record ([`Account::count_notice`]).
pub(super) fn notify<P: Platform>(
    realm: &Realm<P>,
    project: &Project,
    account: &Account,
    notice: &Notice,
) {
    let mails = match compose(realm, project, account, notice) {
        Ok(mails) => mails,
        Err(problem) => {
            tracing::warn!(project = %project.project, code = %problem.code, "a notice");
            return;
        }
    };
    let (core, settings) = (Arc::clone(&realm.core), project.mail());
    let project = project.project.clone();
    realm.core.background.run(async move {
        for mail in mails {
            if let Err(error) = core.platform().send_mail(&settings, &mail).await {
                tracing::warn!(%project, %error, "a notice was not mailed");
            }
        }
    });
}

fn compose<P: Platform>(
    realm: &Realm<P>,
    project: &Project,
    account: &Account,
    notice: &Notice,
) -> Result<Vec<ComposedMail>, Problem> {
    let sender = sender(project)?;
    let mut rng = realm.core.rng()?;
    let by_mail = account.identities.iter().filter(|i| i.method == EMAIL);
    by_mail
        .filter_map(|identity| EmailAddress::parse(&identity.address).ok())
        .take(NOTICE_ADDRESSES)
        .map(|to| {
            let mut message_id = [0; 16];
            rng.fill_bytes(&mut message_id);
            let (name, now) = (&sender.name, realm.now());
            ComposedMail::with_notice(&sender, &to, name, notice, now, message_id)
                .map_err(|_| Problem::internal("a notice cannot be composed"))
        })
        .collect()
}
