//! Codes by mail.

use keyfold_identity::mail::ComposedMail;
use keyfold_identity::pending::{StartError, Starter};
use keyfold_identity::{EmailAddress, OneTimeCode, SignInId};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{DeviceMailReserve, Empty, MailReserve, path};
use keyfold_protocol::ids::{AccountId, ProjectId, SignInHandle};
use keyfold_protocol::sign_in::{Next, SignInStart, SignInStarted};
use rand_core::Rng;
use serde::Serialize;

use super::{Asker, Keep, Level, Proven, account};
use crate::holders::first;
use crate::operations::notices::sender;
use crate::peers::to_json;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::Project;
use crate::request::SignInRequest;
use crate::settings;

/// The method's name in records, and in hashes that name identities.
pub(crate) const EMAIL: &str = "email";

/// Reads an address as a person typed it.
pub(super) fn parse(email: &str) -> Result<EmailAddress, Problem> {
    EmailAddress::parse(email.trim())
        .map_err(|error| Problem::new(Code::EmailInvalid, error.to_string()))
}

/// Draws a code and mails it.
///
/// A device that the address's account lets act has slots of its own here and a count of its own
/// at the holders, so that strangers who begin do not keep the owner out.
///
/// # Security
///
/// Nothing is looked up by the address, so neither answer nor time tells whether it has an account.
/// What is read is the account that the device says is its own, and whose times tell of no other; it
/// counts if its record names the address and lets the device act. Holders ask their own lists.
pub(super) async fn start<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    request: &SignInRequest<SignInStart>,
    email: &str,
) -> Result<SignInStarted, Problem> {
    let email = parse(email)?;
    let hash = of_address(realm, asker.project, &email).hash;
    let account = match request.body().account {
        Some(account) => account::claimed(realm, asker.project, account).await?,
        None => None,
    };
    let known = account.filter(|account| {
        let named = account.identities.iter().any(|known| known.hash == hash);
        named && account.lets_act(asker.device)
    });
    let starter = match &known {
        Some(_) => Starter::Known,
        None => Starter::Stranger,
    };
    let mut rng = realm.core.rng()?;
    let now = realm.now();
    // First what costs nobody else anything: a mail that is refused here is not counted there.
    let (id, code) = realm
        .waiting
        .codes()
        .start(
            starter,
            asker.project.as_str(),
            &email,
            asker.device.0,
            now,
            &mut rng,
        )
        .map_err(|error| match error {
            StartError::Full => Code::RateLimited,
            _ => Code::MailLimit,
        })?;
    let known = known.map(|account| account.account);
    reserve(realm, request, &email, known).await?;
    let mut message_id = [0; 16];
    rng.fill_bytes(&mut message_id);
    let mail = compose(project, &email, &code, now, message_id)?;
    drop(code);
    realm
        .core
        .platform()
        .send_mail(&project.mail(), &mail)
        .await
        .map_err(|error| {
            // Why is the project's affair, not of whoever asks for a code.
            tracing::warn!(project = %project.project, %error, "mail");
            Code::MailFailed
        })?;
    Ok(SignInStarted {
        sign_in: SignInHandle::from_bytes(*id.as_bytes()),
        expires: now.saturating_add(keyfold_identity::pending::CODE_SECONDS),
        next: Next::Code {},
    })
}

/// The address that a code was mailed to for this device; nothing is proved of it yet.
pub(super) fn address<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    sign_in: &SignInHandle,
) -> Option<EmailAddress> {
    let id = SignInId::from_bytes(*sign_in.as_bytes());
    let codes = realm.waiting.codes();
    codes
        .address(&id, asker.project.as_str(), &asker.device.0)
        .cloned()
}

/// Checks the code.
pub(super) fn finish<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    sign_in: &SignInHandle,
    code: &str,
) -> Result<(Proven, EmailAddress), Problem> {
    let code = OneTimeCode::parse(code).map_err(|_| Code::SignInRefused)?;
    let proven = realm
        .waiting
        .codes()
        .finish(
            &SignInId::from_bytes(*sign_in.as_bytes()),
            asker.project.as_str(),
            &asker.device.0,
            &code,
            realm.now(),
        )
        .map_err(|_| Code::SignInRefused)?;
    let email = proven.email();
    Ok((of_address(realm, asker.project, email), email.clone()))
}

/// What a code proves, and a password: who reads, or once read, this mailbox.
pub(super) fn of_address<P: Platform>(
    realm: &Realm<P>,
    project: &ProjectId,
    email: &EmailAddress,
) -> Proven {
    Proven {
        method: EMAIL.to_owned(),
        hash: realm.keys.identity(project, EMAIL, email.lookup_bytes()),
        label: email.as_str().to_owned(),
        amr: &["otp"],
        acr: "email-code",
        level: Level::Code,
        keep: Keep::default(),
        is_new: false,
        evidence: Vec::new(),
    }
}

/// Counts the mail: as one of a device that may act, or of the address.
async fn reserve<P: Platform>(
    realm: &Realm<P>,
    request: &SignInRequest<SignInStart>,
    email: &EmailAddress,
    known: Option<AccountId>,
) -> Result<(), Problem> {
    if let Some(account) = known {
        let message = DeviceMailReserve {
            account,
            evidence: request.evidence(Vec::new()),
        };
        match count(realm, path::MAIL_RESERVE_DEVICE, &message).await {
            // Holders that do not know the device, or no more: it is a stranger like any other, and
            // is not told.
            Err(problem) if problem.code != Code::MailLimit => {
                tracing::info!(code = %problem.code, "a device's mail is counted as a stranger's");
            }
            counted => return counted,
        }
    }
    let message = MailReserve {
        project: request.project().clone(),
        address: realm.keys.mailbox(email),
    };
    count(realm, path::MAIL_RESERVE, &message).await
}

/// Counts at the holders, t of which must allow it.
async fn count<P: Platform>(
    realm: &Realm<P>,
    path: &'static str,
    message: &(impl Serialize + Sync),
) -> Result<(), Problem> {
    let body = to_json(message).map_err(|_| Problem::internal("a mail cannot be counted"))?;
    let needed = realm.holders.threshold();
    let asked = realm.holders.ask_same::<Empty>(path, body);
    let gathered = first(needed, asked).await;
    if gathered.good.len() < needed {
        return Err(realm.holders.shortage(needed, &gathered.bad));
    }
    gathered.let_rest_finish(&realm.core);
    Ok(())
}

fn compose(
    project: &Project,
    email: &EmailAddress,
    code: &OneTimeCode,
    now: u64,
    message_id: [u8; 16],
) -> Result<ComposedMail, Problem> {
    let sender = sender(project)?;
    let texts = settings::mail_texts(&project.sign_in).map_err(super::unusable)?;
    let name = &sender.name;
    ComposedMail::with_code(&sender, email, name, &texts, code, now, message_id)
        .map_err(|_| Problem::internal("a mail with a code cannot be composed"))
}
