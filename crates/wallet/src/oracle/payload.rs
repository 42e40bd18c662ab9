//! Payloads and addresses.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::params::{AddressText, BytesText, Number, WordText, read};
use super::{Answer, OracleError, bytes, json};
use crate::address::counterfactual_address;
use crate::context::CREATION_CODE;
use crate::payload::{PackError, abi_decode, pack};
use crate::{Encoding, Payload};

/// `payload` is the ABI form. Whether it says that it counts on every chain plays no part: with the
/// package, chain id 0 says so.
#[derive(Deserialize)]
struct Input {
    payload: BytesText,
    wallet: Option<AddressText>,
}

fn decoded(abi: &BytesText) -> Result<Payload, OracleError> {
    abi_decode(&abi.0)
        .map(|(payload, _)| payload)
        .map_err(OracleError::failed)
}

pub(super) fn to_packed(params: &str) -> Answer {
    let input: Input = read(params)?;
    let wallet = input.wallet.map(|address| address.0);
    match pack(&decoded(&input.payload)?, wallet.as_ref(), Encoding::Npm) {
        Ok(packed) => bytes(packed),
        Err(PackError::NotCalls) => Err(OracleError::not_implemented()),
        Err(error) => Err(OracleError::failed(error)),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashFor {
    wallet: AddressText,
    chain_id: Number<u64>,
    payload: BytesText,
}

pub(super) fn hash_for(params: &str) -> Answer {
    let input: HashFor = read(params)?;
    bytes(decoded(&input.payload)?.npm_hash(&input.wallet.0, input.chain_id.0))
}

/// The package always writes the parent wallets.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WithParents<'a> {
    #[serde(flatten)]
    payload: &'a Payload,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_wallets: Option<[Address; 0]>,
}

pub(super) fn to_json(params: &str) -> Answer {
    let payload = decoded(&read::<Input>(params)?.payload)?;
    json(&WithParents {
        parent_wallets: payload.parent_wallets.is_empty().then_some([]),
        payload: &payload,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Calculate {
    image_hash: WordText,
    factory: AddressText,
    module: AddressText,
    creation_code: Option<BytesText>,
}

pub(super) fn address(params: &str) -> Answer {
    let input: Calculate = read(params)?;
    let code = input.creation_code.map_or(CREATION_CODE, |code| code.0);
    bytes(counterfactual_address(
        &input.image_hash.0,
        &input.factory.0,
        &input.module.0,
        &code,
    ))
}
