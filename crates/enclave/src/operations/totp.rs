//! The second factor: an app of codes (RFC 6238), and codes on paper beside it.

use keyfold_crypto::{SecretBytes, b64};
use keyfold_identity::mail::Changed;
use keyfold_identity::recovery::{RecoveryAccount, RecoveryCodes};
use keyfold_identity::totp::{TotpAlgorithm, TotpCode, TotpContext, TotpSecret, verify};
use keyfold_protocol::account::{ConfirmTotp, RecoveryCodes as ShownCodes, TotpBegun};
use keyfold_protocol::client_api::Nothing;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::secret_text::SecretText;

use super::identities::tell;
use super::session::check_active;
use super::sign_in::attempts::{self, Kind};
use super::step_up::require_to_change;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Change, TotpRecord};
use crate::request::SessionRequest;

/// Longest secret, bytes.
const MAX_SECRET: usize = 64;

/// Draws the secret of a new second factor. It counts once a code of it was shown; one that counts
/// already stays until then.
pub(super) async fn begin<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<Nothing>,
) -> Result<TotpBegun, Problem> {
    check_active(realm, &request).await?;
    let project = realm.project(request.project()).await?;
    let secret = TotpSecret::random(&mut realm.core.rng()?);
    let kept = SecretText::from(secret.key().expose(b64::encode));
    let id = realm.account_id(&request.owner());
    let label = realm
        .records
        .change(id, |current: Option<Account>| {
            let mut account = current.ok_or(Code::SessionInvalid)?;
            realm.check_session(&account, &request)?;
            require_to_change(realm, &project, &account, &request)?;
            if account.totp.as_ref().is_some_and(|totp| totp.confirmed) {
                return Err(Problem::new(
                    Code::InvalidRequest,
                    "there is a second factor; remove it first",
                ));
            }
            account.totp = Some(TotpRecord {
                secret: kept.clone(),
                confirmed: false,
                last_step: None,
            });
            let label = account.identities.first();
            let label = label.map(|identity| identity.address.clone());
            Ok(Change::Write(account, label.unwrap_or_default()))
        })
        .await?;
    let uri = secret.with_uri(&project.display_name, &label, str::to_owned);
    Ok(TotpBegun { uri: uri.into() })
}

/// Enrols the second factor whose code is shown, and hands out codes for the day it is lost.
pub(super) async fn confirm<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<ConfirmTotp>,
) -> Result<ShownCodes, Problem> {
    check_active(realm, &request).await?;
    let code = TotpCode::parse(&request.body().code).ok_or(Code::SignInRefused)?;
    attempts::reserve_for_account(realm, &request.owner(), Kind::Totp).await?;
    let owner = request.owner();
    let whose = RecoveryAccount {
        project: owner.project.as_str(),
        account: owner.account.as_bytes(),
    };
    let (kept, codes) =
        RecoveryCodes::generate(&whose, realm.keys.recovery_codes(), &mut realm.core.rng()?);
    let project = realm.project(request.project()).await?;
    let told = realm
        .records
        .change(realm.account_id(&owner), |current: Option<Account>| {
            let mut account = current.ok_or(Code::SessionInvalid)?;
            realm.check_session(&account, &request)?;
            let totp = account.totp.as_mut().filter(|totp| !totp.confirmed);
            let totp = totp.ok_or(Code::SignInRefused)?;
            let context = TotpContext {
                project: owner.project.as_str(),
                device: &request.thumbprint().0,
            };
            let proven = verify(&secret_of(totp)?, &context, &code, None, realm.now())
                .map_err(|_| Code::SignInRefused)?;
            totp.confirmed = true;
            totp.last_step = Some(proven.step());
            account.recovery_codes = Some(kept.clone());
            let told = account.count_notice(realm.now());
            let told = told.then(|| (Changed::SecondFactor, account.clone()));
            Ok(Change::Write(account, told))
        })
        .await?;
    tell(realm, &project, &request, told);
    Ok(ShownCodes {
        codes: codes
            .iter()
            .map(|code| code.expose(str::to_owned).into())
            .collect(),
    })
}

/// Removes the second factor, and the codes on paper with it, on the word of a second factor.
pub(super) async fn remove<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<Nothing>,
) -> Result<Nothing, Problem> {
    check_active(realm, &request).await?;
    let project = realm.project(request.project()).await?;
    let id = realm.account_id(&request.owner());
    let told = realm
        .records
        .change(id, |current: Option<Account>| {
            let mut account = current.ok_or(Code::SessionInvalid)?;
            realm.check_session(&account, &request)?;
            let confirmed = account.totp.as_ref().is_some_and(|totp| totp.confirmed);
            require_to_change(realm, &project, &account, &request)?;
            account.totp = None;
            account.recovery_codes = None;
            let told = confirmed && account.count_notice(realm.now());
            let told = told.then(|| (Changed::NoSecondFactor, account.clone()));
            Ok(Change::Write(account, told))
        })
        .await?;
    tell(realm, &project, &request, told);
    Ok(Nothing {})
}

/// The secret as it is verified with.
pub(super) fn secret_of(record: &TotpRecord) -> Result<TotpSecret, Problem> {
    let unreadable = || Problem::internal("a stored second factor is not readable");
    let key = b64::decode(&record.secret, MAX_SECRET).map_err(|_| unreadable())?;
    TotpSecret::new(SecretBytes::from_vec(key), TotpAlgorithm::Sha1).map_err(|_| unreadable())
}
