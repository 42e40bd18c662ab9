//! Messages that a wallet of another kind signs: Ethereum (EIP-4361), Solana, Farcaster (FIP-11).

use std::sync::Arc;

use keyfold_identity::challenge::ChallengeMethod;
use keyfold_identity::siwe::{EthereumAccount, SignIn};
use keyfold_identity::{farcaster, siwe, siws};
use keyfold_protocol::error_code::Code;
use keyfold_protocol::sign_in::{MAX_WALLET_MESSAGE, Next, SignInStarted};

use super::{Asker, Keep, Level, Proven, unusable};
use crate::platform::Platform;
use crate::problem::Problem;
use crate::realm::Realm;
use crate::records::Project;
use crate::settings::{Endpoint, methods};
use crate::waiting::Step;
use crate::web::{Node, check_contract, look_up_farcaster};

/// The methods' names in records.
const ETHEREUM: &str = "ethereum";
const SOLANA: &str = "solana";
const FARCASTER: &str = "farcaster";

/// Draws the nonce of a message.
pub(super) fn start<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    method: ChallengeMethod,
    step: Step,
) -> Result<SignInStarted, Problem> {
    let begun = super::challenge(realm, asker, method, step)?;
    Ok(begun.started(Next::Message {
        nonce: begun.nonce.clone(),
        issued: begun.issued,
        random: begun.random,
    }))
}

/// Checks a message that an Ethereum account signed, be it a key or a contract.
pub(super) async fn ethereum<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    message: &str,
    signature: &[u8],
) -> Result<Proven, Problem> {
    let challenge = super::take_challenge(realm, asker, ChallengeMethod::Ethereum)?;
    let config = methods::ethereum(&project.sign_in)
        .map_err(unusable)?
        .ok_or(Code::MethodOff)?;
    check_length(message)?;
    let signed = siwe::verify(&config.policy, challenge, message, signature, realm.now());
    let proven = match signed.map_err(refused)? {
        SignIn::Proven(proven) => proven,
        SignIn::AskContract(pending) => {
            let question = pending.question();
            let node = config.nodes.get(&question.chain_id);
            let nodes: Vec<Node> = node.into_iter().map(to_node).collect();
            let answer = check_contract(realm.core.platform(), &nodes, question).await;
            pending.answered(answer).map_err(refused)?
        }
    };
    let account = proven.account();
    let label = match account {
        EthereumAccount::Key(address) => shown(address.as_bytes()),
        EthereumAccount::Contract { chain_id, address } => {
            format!("{} on chain {chain_id}", shown(address.as_bytes()))
        }
    };
    Ok(of_wallet(
        realm,
        asker,
        ETHEREUM,
        &account.lookup_bytes(),
        label,
    ))
}

/// Checks a message that a Solana account signed.
pub(super) fn solana<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    message: &str,
    signature: &[u8],
) -> Result<Proven, Problem> {
    let challenge = super::take_challenge(realm, asker, ChallengeMethod::Solana)?;
    let policy = methods::solana(&project.sign_in)
        .map_err(unusable)?
        .ok_or(Code::MethodOff)?;
    check_length(message)?;
    let proven = siws::verify(&policy, challenge, message, signature, realm.now());
    let address = *proven.map_err(refused)?.address();
    let label = address.to_string();
    Ok(of_wallet(
        realm,
        asker,
        SOLANA,
        &address.lookup_bytes(),
        label,
    ))
}

/// Checks a message that a Farcaster account signed, and asks the registries whose it is.
pub(super) async fn farcaster<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    project: &Project,
    message: &str,
    signature: &[u8],
) -> Result<Proven, Problem> {
    let challenge = super::take_challenge(realm, asker, ChallengeMethod::Farcaster)?;
    let config = methods::farcaster(&project.sign_in)
        .map_err(unusable)?
        .ok_or(Code::MethodOff)?;
    check_length(message)?;
    let claim = farcaster::verify(&config.policy, challenge, message, signature, realm.now())
        .map_err(refused)?;
    let (platform, nodes) = (realm.core.platform(), [to_node(&config.node)]);
    let registry = look_up_farcaster(platform, &nodes, claim.registry_question()).await;
    let contract = match claim.contract_question() {
        Some(question) => Some(check_contract(platform, &nodes, question).await),
        None => None,
    };
    let proven = claim.answered(registry, contract).map_err(refused)?;
    let label = format!("Farcaster {}", proven.fid());
    Ok(of_wallet(
        realm,
        asker,
        FARCASTER,
        &proven.lookup_bytes(),
        label,
    ))
}

fn of_wallet<P: Platform>(
    realm: &Realm<P>,
    asker: &Asker<'_>,
    method: &'static str,
    name: &[u8],
    label: String,
) -> Proven {
    Proven {
        method: method.to_owned(),
        hash: realm.keys.identity(asker.project, method, name),
        label,
        amr: &["swk"],
        acr: method,
        level: Level::Code,
        keep: Keep::default(),
        is_new: false,
        evidence: Vec::new(),
    }
}

fn to_node(endpoint: &Endpoint) -> Node {
    Node {
        url: endpoint.url.clone(),
        roots_pem: endpoint.roots_pem.as_deref().map(Arc::from),
    }
}

fn check_length(message: &str) -> Result<(), Problem> {
    match message.len() {
        0..=MAX_WALLET_MESSAGE => Ok(()),
        _ => Err(Code::SignInRefused.into()),
    }
}

fn shown(address: &[u8; 20]) -> String {
    alloy_primitives::Address::from(*address).to_checksum(None)
}

fn refused(error: impl core::fmt::Display) -> Problem {
    tracing::info!(%error, "a wallet's message was refused");
    Code::SignInRefused.into()
}
