//! The account's identities, second factors and step-up.

use keyfold_protocol::account::{Identities, IdentityInfo};
use serde_json::json;

use crate::args::{IdentitiesCommand, StepUpBy, StepUpRules, TotpCommand};
use crate::commands::User;
use crate::commands::proof::{Sources, Way, totp_code};
use crate::error::CliError;
use crate::output::{Report, printable, utc};

pub(crate) async fn step_up(user: User, arguments: StepUpBy) -> Result<Report, CliError> {
    let session = user.session()?;
    let from = Sources::of(&arguments.identity);
    let way = if arguments.totp {
        Way::Totp
    } else if arguments.recovery_code {
        Way::RecoveryCode
    } else {
        Way::of(&user, arguments.identity, false)?
    };
    way.check_askable(&user, from, false)?;
    let outcome = way
        .prove(&user, session.project(), from, async |pending, proof| {
            user.client.step_up(&session, pending, proof).await
        })
        .await;
    let until = user.keep_whatever(&session, outcome)?;
    Ok(Report::new(
        format!("Stepped up until {}.", utc(until)),
        json!({ "until": until }),
    ))
}

pub(crate) async fn identities(
    user: User,
    command: Option<IdentitiesCommand>,
) -> Result<Report, CliError> {
    let session = user.session()?;
    match command.unwrap_or(IdentitiesCommand::List) {
        IdentitiesCommand::List => {
            let _step = user.output.step("Asking for the identities");
            let all = user.client.identities(&session).await;
            Ok(report(&user.keep(&session, all)?))
        }
        IdentitiesCommand::Link(link) => {
            let from = Sources::of(&link.identity);
            let way = Way::of(&user, link.identity, false)?;
            let outcome = way
                .prove(&user, session.project(), from, async |pending, proof| {
                    user.client.link_identity(&session, pending, proof).await
                })
                .await;
            Ok(report(&user.keep_whatever(&session, outcome)?))
        }
        IdentitiesCommand::Unlink(which) => {
            let _step = user.output.step("Taking the identity off");
            let left = user.client.unlink_identity(&session, which.id).await;
            Ok(report(&user.keep(&session, left)?))
        }
    }
}

pub(crate) async fn totp(user: User, command: TotpCommand) -> Result<Report, CliError> {
    let session = user.session()?;
    match command {
        TotpCommand::Begin => {
            let _step = user.output.step("Making a secret");
            let uri = user.client.begin_totp(&session).await;
            let uri = user.keep(&session, uri)?;
            user.output.say(
                "Give this to your app of codes, then: keyfold totp confirm. Keep it nowhere else.",
            );
            Ok(Report::new(printable(&uri), json!({ "uri": &*uri })))
        }
        TotpCommand::Confirm(how) => {
            let code = totp_code(&user, how.code_from_stdin)?;
            let _step = user.output.step("Enrolling the app");
            let codes = user.client.confirm_totp(&session, code).await;
            let codes = user.keep(&session, codes)?;
            user.output.say(
                "The app is your second factor now. Write these codes down: each works once, and \
                 they are not shown again.",
            );
            let codes: Vec<&str> = codes.iter().map(|code| &**code).collect();
            let text = printable_lines(&codes);
            Ok(Report::new(text, json!({ "recovery_codes": codes })))
        }
        TotpCommand::Remove => {
            let _step = user.output.step("Removing the second factor");
            let removed = user.client.remove_totp(&session).await;
            user.keep(&session, removed)?;
            Ok(Report::new(
                "The account has no second factor any more.",
                json!({ "totp": false }),
            ))
        }
    }
}

pub(crate) async fn rules(user: User, arguments: &StepUpRules) -> Result<Report, CliError> {
    let session = user.session()?;
    let _step = user.output.step("Setting the rules");
    let hold = user
        .client
        .set_step_up_rules(&session, &arguments.rules())
        .await;
    let hold = json!(user.keep(&session, hold)?);
    let lines = hold.as_object().into_iter().flatten().map(|(what, proof)| {
        let proof = proof.as_str().unwrap_or_default();
        format!("{what}: {proof}")
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    Ok(Report::new(text, json!({ "rules": hold })))
}

fn report(all: &Identities) -> Report {
    let mut lines: Vec<_> = all.identities.iter().map(line).collect();
    lines.push(match (all.totp, all.recovery_codes) {
        (false, _) => "No second factor: keyfold totp begin".to_owned(),
        (true, left) => format!("Second factor: an app of codes; {left} recovery codes left"),
    });
    Report::new(lines.join("\n"), json!(all))
}

fn line(identity: &IdentityInfo) -> String {
    format!(
        "{}  {}  {} (since {})",
        identity.id,
        printable(&identity.method),
        printable(&identity.label),
        utc(identity.added)
    )
}

fn printable_lines(lines: &[&str]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| printable(line)).collect();
    lines.join("\n")
}
