//! Step-up: what needs a fresh proof, and the proof.

use std::sync::atomic::{AtomicBool, Ordering};

use keyfold_identity::mail::Changed;
use keyfold_identity::recovery::{RecoveryAccount, RecoveryCode};
use keyfold_identity::totp::{TotpCode, TotpContext, verify as verify_totp};
use keyfold_protocol::account::SteppedUp;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::project::{StepUp, StepUpRules};
use keyfold_protocol::sign_in::{Proof, ShowProof};

use super::identities::tell;
use super::session::check_active;
use super::sign_in::account::find;
use super::sign_in::attempts::{self, Kind};
use super::sign_in::{Asker, Kept, prove};
use super::totp::secret_of;
use crate::limits::STEP_UP_SECONDS;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Account, Change, Project};
use crate::request::{Body, SessionRequest};
use crate::waiting::Step;

/// Refuses what needs a fresher or stronger proof than the session has.
///
/// `rule` picks what the operation is out of the rules, of which those of the project and those that
/// the person asked for both hold.
///
/// # Security
///
/// Where new devices need a proof, one that nobody approved owes it before it does anything that is
/// asked here: else who waits long enough would need none.
pub(super) fn require<P: Platform, B: Body>(
    realm: &Realm<P>,
    project: &Project,
    account: &Account,
    request: &SessionRequest<B>,
    rule: impl FnOnce(&StepUpRules) -> Option<StepUp>,
) -> Result<(), Problem> {
    let rules = project.sign_in.step_up.and(&account.step_up);
    let owed = account.owes(request.thumbprint(), rules.new_device);
    let Some(needed) = rule(&rules).max(owed) else {
        return Ok(());
    };
    let session = account
        .session(&request.session().claims().sid)
        .ok_or(Code::SessionRevoked)?;
    let enough = session.proved.is_some_and(|(level, at)| {
        level >= needed && realm.now() < at.saturating_add(STEP_UP_SECONDS)
    });
    if enough {
        return Ok(());
    }
    let wanted = match needed {
        StepUp::Code => "any identity of the account",
        StepUp::SecondFactor => "a second factor, or a passkey with user verification",
        StepUp::Passkey => "a passkey with user verification",
    };
    Err(Problem::new(
        Code::StepUpNeeded,
        format!("wanted: {wanted}, proved within the last 5 minutes"),
    ))
}

/// As [`require`], for who changes what an account is proved with, or what needs a proof.
///
/// # Security
///
/// The strongest that any rule asks for, or nobody would need it: a weaker proof would enrol a
/// factor of its own and use that. A second factor that is enrolled is asked for also where no rule
/// does. Never more than the account can show, so that the first factor can be enrolled and no rule
/// locks an account for good.
pub(super) fn require_to_change<P: Platform, B: Body>(
    realm: &Realm<P>,
    project: &Project,
    account: &Account,
    request: &SessionRequest<B>,
) -> Result<(), Problem> {
    let confirmed = account.totp.as_ref().is_some_and(|totp| totp.confirmed);
    let enrolled = match confirmed {
        true => StepUp::SecondFactor,
        false => StepUp::Code,
    };
    require(realm, project, account, request, |rules| {
        let asked = rules.strongest().unwrap_or(StepUp::Code);
        Some(asked.min(account.strongest()).max(enrolled))
    })
}

/// Steps the session up by an identity of its account, or by a second factor.
pub(super) async fn step_up<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<ShowProof>,
) -> Result<SteppedUp, Problem> {
    check_active(realm, &request).await?;
    let body = request.body();
    let asker = Asker {
        project: request.project(),
        device: request.thumbprint(),
    };
    match &body.proof {
        Proof::Totp { code } => {
            let code = TotpCode::parse(code).ok_or(Code::SignInRefused)?;
            begun(realm, &asker, body, &Step::Totp)?;
            attempts::reserve_for_account(realm, &request.owner(), Kind::Totp).await?;
            step(realm, &request, StepUp::SecondFactor, &["otp"], |account| {
                let totp = account.totp.as_mut().filter(|totp| totp.confirmed);
                let totp = totp.ok_or(Code::SignInRefused)?;
                let context = TotpContext {
                    project: asker.project.as_str(),
                    device: &asker.device.0,
                };
                let secret = secret_of(totp)?;
                let proven = verify_totp(&secret, &context, &code, totp.last_step, realm.now())
                    .map_err(|_| Code::SignInRefused)?;
                totp.last_step = Some(proven.step());
                Ok(())
            })
            .await
        }
        Proof::RecoveryCode { code } => {
            let code = RecoveryCode::parse(code).map_err(|_| Code::SignInRefused)?;
            begun(realm, &asker, body, &Step::RecoveryCode)?;
            attempts::reserve_for_account(realm, &request.owner(), Kind::RecoveryCode).await?;
            step(realm, &request, StepUp::SecondFactor, &["otp"], |account| {
                let whose = RecoveryAccount {
                    project: asker.project.as_str(),
                    account: account.account.as_bytes(),
                };
                let codes = account.recovery_codes.as_mut();
                codes
                    .ok_or(Code::SignInRefused)?
                    .redeem(
                        &whose,
                        realm.keys.recovery_codes(),
                        asker.device.0,
                        &code,
                        realm.now(),
                    )
                    .map_err(|_| Code::SignInRefused)?;
                Ok(())
            })
            .await
        }
        proof => {
            let project = realm.project(request.project()).await?;
            let proven = prove(realm, &asker, &project, &body.sign_in, proof).await?;
            // The index says whose it is: a record may still name what was taken off the account.
            let owner = find(realm, request.project(), &proven.hash).await?;
            if owner.as_ref() != Some(&request.owner()) {
                return Err(Code::SignInRefused.into());
            }
            let told = AtomicBool::new(false);
            let up = step(realm, &request, proven.level, proven.amr, |account| {
                // Of somebody else, or made just now.
                if proven.is_new || account.keep(&proven) != Kept::Done {
                    return Err(Code::SignInRefused.into());
                }
                let other = proven.keep.other_password && account.count_notice(realm.now());
                told.store(other, Ordering::Relaxed);
                Ok(())
            })
            .await?;
            if told.into_inner()
                && let Ok(account) = realm.session_account(&request).await
            {
                let told = Some((Changed::Password, account.value));
                tell(realm, &project, &request, told);
            }
            Ok(up)
        }
    }
}

fn begun<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    body: &ShowProof,
    wanted: &Step,
) -> Result<(), Code> {
    let step = realm
        .waiting
        .take(asker.project, asker.device, &body.sign_in, realm.now())?;
    (step == *wanted).then_some(()).ok_or(Code::SignInRefused)
}

/// Uses a proof up and notes in the session that it was shown, in one change of the record.
async fn step<P: Platform>(
    realm: &Realm<P>,
    request: &SessionRequest<ShowProof>,
    level: StepUp,
    amr: &[&str],
    use_up: impl Fn(&mut Account) -> Result<(), Problem>,
) -> Result<SteppedUp, Problem> {
    let now = realm.now();
    let sid = request.session().claims().sid;
    let id = realm.account_id(&request.owner());
    realm
        .records
        .change(id, |current: Option<Account>| {
            let mut account = current.ok_or(Code::SessionInvalid)?;
            realm.check_session(&account, request)?;
            use_up(&mut account)?;
            account.let_in(request.thumbprint(), level);
            let session = account.sessions.iter_mut().find(|s| s.sid == sid);
            let session = session.ok_or(Code::SessionRevoked)?;
            // A weaker proof does not take a stronger one's place while that counts.
            let stronger = session
                .proved
                .filter(|(kept, at)| *kept > level && now < at.saturating_add(STEP_UP_SECONDS));
            session.proved = Some(stronger.unwrap_or((level, now)));
            for amr in amr {
                if !session.amr.iter().any(|known| known == amr) {
                    session.amr.push((*amr).to_owned());
                }
            }
            Ok(Change::Write(account, ()))
        })
        .await?;
    Ok(SteppedUp {
        until: now.saturating_add(STEP_UP_SECONDS),
    })
}

/// Sets what the person wants a fresh proof for, beyond the project's rules. To ask for less needs
/// what was asked for.
pub(super) async fn set_rules<P: Platform>(
    realm: &Realm<P>,
    request: SessionRequest<StepUpRules>,
) -> Result<StepUpRules, Problem> {
    check_active(realm, &request).await?;
    let project = realm.project(request.project()).await?;
    let id = realm.account_id(&request.owner());
    realm
        .records
        .change(id, |current: Option<Account>| {
            let mut account = current.ok_or(Code::SessionInvalid)?;
            realm.check_session(&account, &request)?;
            let raises = account.step_up.and(request.body()) == *request.body();
            if raises {
                let strongest = account.strongest();
                require(realm, &project, &account, &request, |rules| {
                    Some(rules.recovery.unwrap_or(StepUp::Code).min(strongest))
                })?;
            } else {
                require_to_change(realm, &project, &account, &request)?;
            }
            if request.body().strongest() > Some(account.strongest()) {
                return Err(Problem::new(
                    Code::InvalidRequest,
                    "the account has nothing to prove that with; link or enrol it first",
                ));
            }
            account.step_up = request.body().clone();
            let rules = project.sign_in.step_up.and(&account.step_up);
            Ok(Change::Write(account, rules))
        })
        .await
}
