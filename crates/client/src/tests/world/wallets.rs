//! What wallets are made of.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes};
use keyfold_crypto::{Secret, secp256k1};
use keyfold_protocol::client_api::WalletInfo;
use keyfold_protocol::ids::KeyId;
use keyfold_wallet::signature::{Header, encode};
use keyfold_wallet::{
    Config, ContextName, EcdsaSignature, SignaturePart, ValidConfig, wallet_address,
};

use super::NOW_MS;

/// The owner's key, and what it signs with.
pub(crate) fn owner(seed: u8) -> secp256k1::SigningKey {
    secp256k1::SigningKey::from_secret(&Secret::from_array([seed; 32])).unwrap()
}

pub(crate) fn info(label: &str, config: &ValidConfig) -> WalletInfo {
    info_with(label, config, ContextName::Keyfold)
}

/// As [`info`], of other contracts.
pub(crate) fn info_with(label: &str, config: &ValidConfig, context: ContextName) -> WalletInfo {
    let image_hash = config.image_hash();
    WalletInfo {
        label: label.to_owned(),
        address: wallet_address(&image_hash, &context.context()),
        context,
        key: KeyId::from_bytes([7; 16]),
        config: Config::clone(config),
        image_hash,
        created: NOW_MS / 1000,
    }
}

/// The signature of an owner's key over a digest, in a configuration that names it.
pub(crate) fn sign(config: &ValidConfig, seed: u8, digest: B256) -> Bytes {
    sign_with(config, seed, digest, &Header::default())
}

/// As [`sign`], with a header of one's own.
pub(crate) fn sign_with(config: &ValidConfig, seed: u8, digest: B256, header: &Header) -> Bytes {
    let key = owner(seed);
    let signature = EcdsaSignature::from_rsv(&key.sign_prehash(&digest.0).to_rsv()).unwrap();
    let part = SignaturePart::EcdsaHash(signature);
    let parts = BTreeMap::from([(Address::from(key.address()), part)]);
    encode(config, &parts, header).unwrap()
}
