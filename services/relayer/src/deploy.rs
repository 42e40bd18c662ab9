//! Putting the wallet contracts on a chain.

use std::time::{Duration, Instant};

use alloy_primitives::aliases::U160;
use alloy_primitives::{Address, B256};
use keyfold_chain::{DeployError, DeployerCall};
use keyfold_crypto::Encoder;
use keyfold_protocol::error_code::Code;
use keyfold_protocol::ids::RequestId;
use keyfold_protocol::relayer_api::RelayState;

use crate::chain::{Chain, Outgoing};
use crate::config::{RelayerConfig, RelayerError};
use crate::error::RelayError;
use crate::relay::Relayer;
use crate::store::{NewRequest, Reserved};
use crate::watch::{Look, round};

/// Gas of one deployment at most; what a block may give one transaction (EIP-7825).
const MAX_GAS: u64 = 16_777_216;
/// How long one deployment may take.
const PATIENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);
/// How often one contract is tried.
const ATTEMPTS: u32 = 64;

/// A contract that is on the chain now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deployed {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub address: Address,
    /// Whether this call put it there.
    pub new: bool,
}

/// Deploys the wallet contracts that a chain lacks, paid by the relayer's own address.
///
/// With the address of a realm's key, as its record names it, also the checkpointer that takes this
/// key's word.
///
/// May be repeated, and may run beside the relayer.
///
/// # Errors
///
/// [`RelayerError`]: where the chain is not configured, its node does not answer, it has no
/// deterministic deployer, or the relayer's address has too little coin.
pub async fn deploy_contracts(
    config: &RelayerConfig,
    chain_id: u64,
    checkpointer_key: Option<Address>,
) -> Result<Vec<Deployed>, RelayerError> {
    if checkpointer_key.is_some_and(|key| key.is_zero()) {
        return Err(RelayerError::Config(
            "address zero is nobody's key: take the checkpointer from the realm record".to_owned(),
        ));
    }
    let relayer = Relayer::open(config).await?;
    let mut calls = relayer.deployments.calls().to_vec();
    calls.extend(checkpointer_key.map(|key| relayer.deployments.checkpointer(&key)));
    let deployed = deploy(&relayer, chain_id, &calls).await;
    relayer.store.close().await;
    deployed
}

async fn deploy(
    relayer: &Relayer,
    chain_id: u64,
    calls: &[DeployerCall],
) -> Result<Vec<Deployed>, RelayerError> {
    let chain = relayer.chain(chain_id).map_err(stopped)?;
    let node = chain.node().await.map_err(stopped)?;
    let missing = relayer.deployments.missing(node, calls).await?;
    // What became of earlier attempts decides whether there is to be another.
    let settled = Look {
        settled: true,
        ..Look::default()
    };
    round(relayer, chain, settled).await.map_err(stopped)?;
    for call in &missing {
        // Each needs the ones before it in a block.
        deploy_one(relayer, chain, call).await?;
    }
    Ok(calls
        .iter()
        .map(|call| Deployed {
            name: call.name.clone(),
            address: call.address,
            new: missing.contains(call),
        })
        .collect())
}

async fn deploy_one(
    relayer: &Relayer,
    chain: &Chain,
    call: &DeployerCall,
) -> Result<(), RelayerError> {
    let outgoing = Outgoing {
        from: relayer.address(),
        to: call.to,
        data: &call.data,
        max_gas: MAX_GAS,
        all_gas: false,
    };
    begin(relayer, chain, call, outgoing)
        .await
        .map_err(stopped)?;
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        round(relayer, chain, Look::default())
            .await
            .map_err(stopped)?;
        let node = chain.node().await.map_err(stopped)?;
        if node
            .has_code(call.address)
            .await
            .map_err(DeployError::from)?
        {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(RelayerError::Config(format!(
        "{} is still not on the chain; run this again",
        call.name
    )))
}

/// Takes a deployment over and sends it. Its id is known beforehand, so that asking again after a
/// crash finds it; the id of the next attempt, where one before has come to nothing.
async fn begin(
    relayer: &Relayer,
    chain: &Chain,
    call: &DeployerCall,
    outgoing: Outgoing<'_>,
) -> Result<(), RelayError> {
    for attempt in 0..ATTEMPTS {
        let hash = Encoder::new("keyfold/relayer-deployment/v1")
            .u64(chain.id())
            .fixed(&relayer.address().into_array())
            .fixed(&call.address.into_array())
            .fixed(&call.to.into_array())
            .bytes(&call.data)
            .u32(attempt)
            .sha256();
        let mut id = [0; RequestId::LEN];
        id.iter_mut()
            .zip(hash)
            .for_each(|(target, byte)| *target = byte);
        let request = NewRequest {
            id: RequestId::from_bytes(id),
            hash: B256::from(hash),
            account: relayer.account(chain.id()),
            wallet: call.address,
            space: U160::ZERO,
            wallet_nonce: 0,
            deployed: false,
        };
        if let Some(taken) = relayer.store.find(request.id).await? {
            let over = matches!(taken.relayed.state, RelayState::Reverted | RelayState::Lost);
            // Strangers choose their ids too.
            if over || taken.request_hash != request.hash {
                continue;
            }
        }
        // The operator's own, whatever strangers have spent.
        match relayer.take_over(chain, request, outgoing, None).await? {
            Reserved::New(_, raw) => chain.send(&raw).await,
            Reserved::Known(taken) => {
                if let Some(newest) = relayer.store.versions(taken.relayed.id).await?.last() {
                    chain.send(&newest.raw).await;
                }
            }
            Reserved::Waiting => {}
        }
        return Ok(());
    }
    Err(RelayError::refused(
        Code::CallReverts,
        format!("{} was tried {ATTEMPTS} times in vain", call.name),
    ))
}

fn stopped(error: RelayError) -> RelayerError {
    match error {
        RelayError::Refused { detail, .. } => RelayerError::Config(detail),
        RelayError::Node(error) => DeployError::Rpc(error).into(),
        RelayError::Storage(error) => error.into(),
        RelayError::Signing(error) => RelayerError::Config(error.to_string()),
    }
}
