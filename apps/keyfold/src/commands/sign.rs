//! Signing messages.

use serde_json::json;

use crate::args::{SignCommand, SignMessage};
use crate::commands::User;
use crate::error::CliError;
use crate::output::Report;

pub(crate) async fn run(user: User, command: SignCommand) -> Result<Report, CliError> {
    let SignCommand::Message(SignMessage {
        message,
        hex: is_hex,
        wallet,
        chain,
    }) = command;
    let message = if is_hex {
        let digits = message.strip_prefix("0x").unwrap_or(&message);
        hex::decode(digits).map_err(|_| {
            CliError::usage(
                "the message is not hexadecimal",
                "Leave --hex out to sign a text.",
            )
        })?
    } else {
        message.into_bytes()
    };
    let session = user.session()?;
    let chain = user.chain(chain)?;
    let _step = user.output.step("Signing");
    let wallet = user.wallet(&session, &wallet).await?;
    // A chain that the relayer does not know was told nothing of the wallet's later configurations.
    let wallet = match user.client.wallet_on_chain(chain, &wallet.address()).await {
        Ok(state) => wallet.as_known(&state),
        Err(_) => wallet,
    };
    let signed = user
        .client
        .sign_message(&session, &wallet, chain, &message)
        .await;
    let signed = user.keep(&session, signed)?;
    Ok(Report::new(
        signed.signature.to_string(),
        json!({
            "wallet": signed.wallet.to_string(),
            "chain_id": signed.chain_id,
            "digest": format!("0x{}", signed.digest),
            "signature": signed.signature,
            "counterfactual": signed.counterfactual,
        }),
    ))
}
