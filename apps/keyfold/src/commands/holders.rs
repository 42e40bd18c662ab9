//! The realm's holders: list, drill, refresh.

use keyfold_attest::PCR_LEN;
use keyfold_client::Environment as _;
use keyfold_gateway_service as gateway;
use keyfold_protocol::gateway_api::{BadKey, DrillBatch, FailedKey, RefreshBatch};
use keyfold_protocol::warrant::{SignedWarrant, Warrant};
use serde_json::json;

use super::operator::{enclave, read_json};
use crate::args::{HoldersCommand, MakeWarrant};
use crate::error::{CliError, Exit};
use crate::files::write_new;
use crate::output::{Output, Report, printable};
use crate::transport::SystemEnvironment;

const DAY: u64 = 86_400;

pub(crate) async fn run(command: HoldersCommand, output: Output) -> Result<Report, CliError> {
    match command {
        HoldersCommand::List(socket) => list(&socket.enclave).await,
        HoldersCommand::Drill(socket) => drill(&socket.enclave, output).await,
        HoldersCommand::Warrant(arguments) => warrant(&arguments).await,
        HoldersCommand::Refresh(arguments) => {
            let warrant: SignedWarrant = read_json(&arguments.warrant)?;
            refresh(&arguments.enclave, &warrant, output).await
        }
    }
}

async fn list(socket: &gateway::Inbound) -> Result<Report, CliError> {
    let found = gateway::holders(socket).await.map_err(|e| enclave(&e))?;
    let line = |holder: &keyfold_protocol::gateway_api::HolderState| {
        let state = match &holder.trouble {
            None => "answers".to_owned(),
            Some(trouble) => printable(trouble),
        };
        format!(
            "{}  {}  {}  {}  {}  {state}",
            holder.index,
            printable(&holder.name),
            printable(&holder.party),
            printable(&holder.region),
            printable(&holder.address),
        )
    };
    let mut lines: Vec<String> = found.holders.iter().map(line).collect();
    lines.push(format!(
        "{} of {} must agree.",
        found.threshold,
        found.holders.len()
    ));
    let trouble = found.holders.iter().any(|holder| holder.trouble.is_some());
    Ok(Report {
        bad_news: trouble.then_some(Exit::Unavailable),
        ..Report::new(lines.join("\n"), json!(found))
    })
}

async fn warrant(arguments: &MakeWarrant) -> Result<Report, CliError> {
    let mut image = [0; PCR_LEN];
    hex::decode_to_slice(&arguments.image, &mut image).map_err(|_| {
        CliError::usage(
            "the image is not a PCR0",
            "Give the 96 hexadecimal digits that the build of the enclave printed.",
        )
    })?;
    let found = gateway::holders(&arguments.enclave)
        .await
        .map_err(|e| enclave(&e))?;
    let now = SystemEnvironment.now_unix_ms() / 1000;
    let today = u32::try_from(now / DAY).unwrap_or(u32::MAX);
    let signed = SignedWarrant {
        warrant: Warrant {
            version: 1,
            realm: found.realm,
            from: found.serial,
            to: found.serial,
            generation: arguments.generation.unwrap_or(today),
            image,
            issued: now,
            expires: now + u64::from(arguments.days) * DAY,
        },
        signatures: Vec::new(),
    };
    let text = serde_json::to_string_pretty(&signed).unwrap_or_default();
    write_new(&arguments.out, &text)?;
    Ok(Report::new(
        format!(
            "Warrant to bring every key to generation {}, for {} days, in {}.\n\
             {} holders' operators must sign it: keyfold-holder warrant sign --dir <its folder> {}",
            signed.warrant.generation,
            arguments.days,
            arguments.out.display(),
            found.threshold,
            arguments.out.display(),
        ),
        json!({ "warrant": signed.warrant, "id": signed.warrant.id(), "needed": found.threshold }),
    ))
}

async fn refresh(
    socket: &gateway::Inbound,
    warrant: &SignedWarrant,
    output: Output,
) -> Result<Report, CliError> {
    let mut batch = RefreshBatch {
        warrant: warrant.clone(),
        after: None,
    };
    let (mut refreshed, mut unused, mut total) = (0u64, 0u64, None);
    let mut failed: Vec<FailedKey> = Vec::new();
    loop {
        let all = total.map_or_else(String::new, |total: u64| format!(" of {total}"));
        let _step = output.step(&format!("{refreshed}{all} keys have new shares"));
        let done = gateway::refresh(socket, &batch)
            .await
            .map_err(|e| enclave(&e))?;
        total.get_or_insert(done.left);
        refreshed += u64::from(done.refreshed);
        unused += u64::from(done.unused);
        failed.extend(done.failed);
        match done.next {
            Some(next) => batch.after = Some(next),
            None => break,
        }
    }
    let mut lines = vec![format!(
        "{refreshed} keys have new shares, and none of the old."
    )];
    lines.extend((unused > 0).then(|| {
        format!("{unused} keys belong to no wallet (attempts that were cut off, former owners).")
    }));
    lines.extend(failed.iter().map(|key| {
        let detail = printable(&key.detail);
        format!(
            "{} keeps its old shares: {} {detail}",
            name(&key.owner, key.key),
            key.code
        )
    }));
    lines.extend((!failed.is_empty()).then(|| "Run it again once that is mended.".to_owned()));
    Ok(Report {
        bad_news: (!failed.is_empty()).then_some(Exit::Failed),
        ..Report::new(
            lines.join("\n"),
            json!({ "refreshed": refreshed, "unused": unused, "failed": failed }),
        )
    })
}

async fn drill(socket: &gateway::Inbound, output: Output) -> Result<Report, CliError> {
    let mut batch = DrillBatch { after: None };
    let (mut good, mut unused) = (0u64, 0u64);
    let mut bad: Vec<BadKey> = Vec::new();
    loop {
        let _step = output.step(&format!("{good} keys are whole"));
        let done = gateway::drill(socket, &batch)
            .await
            .map_err(|e| enclave(&e))?;
        good += u64::from(done.good);
        unused += u64::from(done.unused);
        bad.extend(done.bad);
        match done.next {
            Some(next) => batch.after = Some(next),
            None => break,
        }
    }
    let mut lines = vec![format!("{good} keys: every holder has a good share.")];
    lines.extend(bad.iter().map(|key| {
        let without = key
            .without
            .iter()
            .map(|name| printable(name))
            .collect::<Vec<_>>();
        let usable = if key.usable {
            "still usable"
        } else {
            "LOST as it is"
        };
        let name = name(&key.owner, key.key);
        format!("{name}: no good share at {} ({usable})", without.join(", "))
    }));
    Ok(Report {
        bad_news: (!bad.is_empty()).then_some(Exit::Failed),
        ..Report::new(
            lines.join("\n"),
            json!({ "good": good, "unused": unused, "bad": bad }),
        )
    })
}

fn name(
    owner: &keyfold_protocol::evidence::AccountRef,
    key: keyfold_protocol::ids::KeyId,
) -> String {
    format!("{} / {} / {key}", owner.project.as_str(), owner.account)
}
