//! Makes a project, once, for whoever will administer it.

use alloy_primitives::Address;
use keyfold_protocol::checkpointer::checkpointer_address;
use keyfold_protocol::client_api::{CreateProject, GuardSettings, MailSettings, ProjectInfo};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::project::ProjectSettings;

use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::{Change, Project};
use crate::request::SignInRequest;
use crate::settings::{self, SecretName};

/// Creates a project. Asking again with the same words answers the same.
pub(crate) async fn create<P: Platform>(
    realm: &Realm<P>,
    request: SignInRequest<CreateProject>,
) -> Result<ProjectInfo, Problem> {
    let body = request.body();
    if body.project != *request.project() {
        return Err(Problem::new(
            Code::ProjectInvalid,
            "the signed project is another one",
        ));
    }
    let own = checkpointer_address(&Address::from(*realm.keys.checkpointer().as_bytes()));
    check(body, own)?;
    let id = realm.project_id(&body.project);
    let created = realm.now();
    realm
        .records
        .change(id, |current: Option<Project>| match current {
            None => {
                let project = Project {
                    v: Default::default(),
                    project: body.project.clone(),
                    version: 1,
                    threshold: 1,
                    command: None,
                    display_name: body.display_name.clone(),
                    administrators: vec![*request.device()],
                    mail: MailSettings {
                        password: None,
                        ..body.mail.clone()
                    },
                    guard: body.guard.clone(),
                    checkpointer: body.checkpointer,
                    contracts: body.contracts,
                    sign_in: body.sign_in.clone(),
                    secrets: body
                        .mail
                        .password
                        .iter()
                        .map(|password| (SecretName::Mail.to_string(), password.clone()))
                        .collect(),
                    created,
                };
                Ok(Change::Write(project, ()))
            }
            // A client that timed out may ask again, for the same; anybody else learns nothing but
            // that it is taken.
            Some(known)
                if known.version == 1
                    && known.administrators == [*request.device()]
                    && known.display_name == body.display_name
                    && known.mail() == body.mail
                    && known.guard == body.guard
                    && known.checkpointer == body.checkpointer
                    && known.contracts == body.contracts
                    && known.sign_in == body.sign_in =>
            {
                Ok(Change::Keep(()))
            }
            Some(_) => Err(Code::ProjectExists.into()),
        })
        .await?;
    Ok(ProjectInfo {
        project: body.project.clone(),
        guard_signer: body.guard.as_ref().map(|guard| guard.signer),
        contracts: body.contracts,
    })
}

fn check(body: &CreateProject, own_checkpointer: Option<Address>) -> Result<(), Problem> {
    settings::check_project(&ProjectSettings {
        display_name: body.display_name.clone(),
        mail: body.mail.clone(),
        sign_in: body.sign_in.clone(),
    })?;
    check_contracts(body, own_checkpointer).map_err(|why| Problem::new(Code::ProjectInvalid, why))
}

fn check_contracts(
    body: &CreateProject,
    own_checkpointer: Option<Address>,
) -> Result<(), &'static str> {
    // Any other would freeze every wallet for good: no code there, or another key's word.
    if body.checkpointer.is_some() && body.checkpointer != own_checkpointer {
        return Err(
            "this is not the realm's checkpointer; `keyfold relayer deploy` tells its address",
        );
    }
    if !body.contracts.is_choice() {
        return Err("these contracts are not for new wallets");
    }
    // Its promise never to freeze a wallet needs our recovery contract: only that one lets a recovery
    // signer distrust it before the delay is over.
    if body.checkpointer.is_some() && !body.contracts.is_keyfold() {
        return Err("a checkpointer needs keyfold's own contracts");
    }
    body.guard.as_ref().map_or(Ok(()), check_guard)
}

fn check_guard(guard: &GuardSettings) -> Result<(), &'static str> {
    if guard.signer.is_zero() {
        return Err("address zero cannot be the guard's signer");
    }
    let good = guard.address.rsplit_once(':').is_some_and(|(host, port)| {
        settings::is_host(host) && port.parse::<u16>().is_ok_and(|p| p != 0)
    });
    if good {
        Ok(())
    } else {
        Err("the guard's address is not host:port")
    }
}
