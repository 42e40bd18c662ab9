//! Changes a project, by a command that enough of its administrators have signed.
//!
//! In this order: the command is verified against the current record; a write quorum of holders has
//! it in their logs; the record's next version is written, verified against once more. So no change
//! is without its entry. An entry may be without its change, where an instance ended in between, and
//! a change that was repeated has two.

use keyfold_protocol::client_api::MailSettings;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::holder_api::{Empty, ProjectNotice, path};
use keyfold_protocol::ids::RealmId;
use keyfold_protocol::project_command::{
    ChangeProject, CommandError, MAX_SECRETS, ProjectChanged, ReadChange, SecretReveal, Standing,
};

use super::administered;
use crate::holders::first;
use crate::peers::to_json;
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Change, Project};
use crate::request::SignInRequest;
use crate::settings::{self, SecretName};

/// Changes a project. The same command again, while it is the latest, is answered the same.
pub(crate) async fn change<P: Platform>(
    realm: &Realm<P>,
    request: SignInRequest<ChangeProject>,
) -> Result<ProjectChanged, Problem> {
    let body = request.body();
    let current = administered(realm, &request).await?;
    let command = body.signed.command.digest();
    // Nothing but a hash of what this record was changed by: it may be told to its administrators.
    if current.command == Some(command) {
        let version = current.version;
        return Ok(ProjectChanged { version });
    }
    let (realm_id, now) = (realm.verified.id(), realm.now());
    let next = follow(&current, body, realm_id, now)?;
    let notice = ProjectNotice {
        project: next.project.clone(),
        version: next.version,
        command,
    };
    log(realm, &notice).await?;
    let id = realm.project_id(request.project());
    let next = realm
        .records
        .change(id, |current: Option<Project>| {
            let current = current.ok_or(Code::ProjectUnknown)?;
            if current.command == Some(command) {
                return Ok(Change::Keep(current));
            }
            let next = follow(&current, body, realm_id, now)?;
            Ok(Change::Write(next.clone(), next))
        })
        .await?;
    let version = next.version;
    realm.keep_project(id, next);
    Ok(ProjectChanged { version })
}

/// Has a write quorum of holders log a change before it is made.
async fn log<P: Platform>(realm: &Realm<P>, notice: &ProjectNotice) -> Result<(), Problem> {
    let body = to_json(notice).map_err(|_| Problem::internal("a change cannot be logged"))?;
    let needed = realm.holders.write_quorum();
    let asked = realm.holders.ask_same::<Empty>(path::PROJECT_CHANGED, body);
    let gathered = first(needed, asked).await;
    if gathered.good.len() < needed {
        return Err(realm.holders.shortage(needed, &gathered.bad));
    }
    gathered.let_rest_finish(&realm.core);
    Ok(())
}

/// The version of a project that follows from a command.
fn follow(
    current: &Project,
    body: &ChangeProject,
    realm: RealmId,
    now_unix_seconds: u64,
) -> Result<Project, Problem> {
    let standing = Standing {
        realm,
        project: &current.project,
        version: current.version,
        administrators: &current.administrators,
        threshold: current.threshold,
        now_unix_seconds,
    };
    let approved = body.signed.verify(&standing).map_err(refusal)?;
    let mut next = current.clone();
    next.version = current
        .version
        .checked_add(1)
        .ok_or_else(|| Problem::internal("a project was changed too often"))?;
    next.command = Some(approved.digest());
    // What an earlier release wrote into the settings.
    if let Some(password) = next.mail.password.take() {
        let name = SecretName::Mail.to_string();
        next.secrets.entry(name).or_insert(password);
    }
    match approved.change() {
        ReadChange::Settings(to) => {
            settings::check_project(to)?;
            next.display_name = to.display_name.clone();
            next.mail = MailSettings {
                password: None,
                ..to.mail.clone()
            };
            next.sign_in = to.sign_in.clone();
        }
        ReadChange::Secret { name, commitment } => {
            let named = SecretName::parse(name).ok_or_else(|| {
                invalid("a secret is called `mail`, `webhook` or `provider:NAME`")
            })?;
            let reveal = body.secret.as_ref();
            let opened = reveal.filter(|r| r.opens(&current.project, name, commitment));
            let SecretReveal { value, .. } =
                opened.ok_or_else(|| invalid("the value is not the one that was committed to"))?;
            named.check(value)?;
            next.secrets.insert(named.to_string(), value.clone());
            if next.secrets.len() > MAX_SECRETS {
                return Err(invalid("a project has at most 32 secrets; remove one"));
            }
        }
        ReadChange::RemoveSecret { name } => {
            let removed = next.secrets.remove(name);
            removed.ok_or_else(|| invalid("the project has no such secret"))?;
        }
        ReadChange::Administrators { keys, threshold } => {
            next.administrators = keys.clone();
            next.threshold = *threshold;
        }
    }
    if body.secret.is_some() && !matches!(approved.change(), ReadChange::Secret { .. }) {
        return Err(invalid("a value beside a command that sets no secret"));
    }
    Ok(next)
}

fn invalid(why: &str) -> Problem {
    Problem::new(Code::ProjectInvalid, why)
}

fn refusal(error: CommandError) -> Problem {
    let code = match &error {
        CommandError::WrongRealm => Code::WrongRealm,
        CommandError::TooFew { .. } => Code::NotAdministrator,
        CommandError::Stale { .. } => Code::ProjectStale,
        _ => Code::ProjectInvalid,
    };
    Problem::new(code, error.to_string())
}
