//! Wallets.

use keyfold_client::Wallet;
use serde_json::{Value, json};

use crate::args::WalletCommand;
use crate::commands::User;
use crate::error::CliError;
use crate::output::{Report, printable};

pub(crate) async fn run(user: User, command: WalletCommand) -> Result<Report, CliError> {
    match command {
        WalletCommand::Create(which) => {
            let session = user.session()?;
            let _step = user.output.step("Creating the wallet");
            let created = user.client.create_wallet(&session, &which.label).await;
            let wallet = user.keep(&session, created)?;
            Ok(Report::new(line(&wallet), to_json(&wallet)))
        }
        WalletCommand::List => {
            let session = user.session()?;
            let _step = user.output.step("Asking for the wallets");
            let wallets = user.keep(&session, user.client.wallets(&session).await)?;
            Ok(Report::new(
                lines(&wallets),
                json!({ "wallets": wallets.iter().map(to_json).collect::<Vec<_>>() }),
            ))
        }
        WalletCommand::Config(command) => super::config::run(user, command).await,
        WalletCommand::Address(which) => {
            let session = user.session()?;
            let _step = user.output.step("Asking for the wallet");
            let wallet = user.wallet(&session, &which.label).await?;
            Ok(Report::new(wallet.address().to_string(), to_json(&wallet)))
        }
    }
}

pub(crate) fn lines(wallets: &[Wallet]) -> String {
    if wallets.is_empty() {
        return "There is no wallet yet. Make one: keyfold wallet create".to_owned();
    }
    wallets.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line(wallet: &Wallet) -> String {
    format!("{}  {}", wallet.address(), printable(wallet.label()))
}

pub(crate) fn to_json(wallet: &Wallet) -> Value {
    json!({
        "label": wallet.label(),
        "address": wallet.address().to_string(),
        "contracts": wallet.contracts(),
        "image_hash": wallet.image_hash(),
        "owner": wallet.owner().to_string(),
        "guard": wallet.guard().map(|guard| guard.to_string()),
        "created": wallet.info().created,
    })
}
