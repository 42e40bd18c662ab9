//! Keys as those have them who work together against everybody else: t holders, or a thief of a
//! service's disk.

use alloy_primitives::{Address, B256};
use keyfold_client::Wallet;
use keyfold_crypto::commitment::SharePurpose;
use keyfold_crypto::envelope::MasterKey as EnvelopeKey;
use keyfold_crypto::hash::hkdf_sha256;
use keyfold_crypto::mnemonic::Entropy;
use keyfold_crypto::secp256k1::SigningKey;
use keyfold_crypto::shamir::{Threshold, combine};
use keyfold_crypto::{Encoder, Secret};
use keyfold_storage::MasterKey;
use keyfold_testkit::system::System;
use keyfold_wallet::signature::Parts;
use keyfold_wallet::{EcdsaSignature, SignaturePart};

use super::Person;
use super::search::Needle;
use super::storage::{open_seed_share, open_share};

/// The owner's key, as two holders who work together have it.
pub(crate) async fn owner_key(system: &System, person: &Person, wallet: &Wallet) -> SigningKey {
    let share = async |number| {
        open_share(system, number, person, wallet, SharePurpose::LeafKey)
            .await
            .share
    };
    let shares = [share(0).await, share(1).await];
    let secret = combine(Threshold::new(2, 3).unwrap(), &shares).unwrap();
    SigningKey::from_secret_bytes(&secret).unwrap()
}

/// The guard's key, as whoever stole its master key has it.
pub(crate) fn guard_key(system: &System, person: &Person) -> SigningKey {
    let master = MasterKey::load(&system.files().guard().join("master.key")).unwrap();
    let master: EnvelopeKey = master.to_envelope_key();
    let context = Encoder::new("keyfold/guard-signer-context/v1")
        .str(person.project.id.as_str())
        .u32(0)
        .finish();
    SigningKey::from_secret(&master.derive("keyfold/guard-signer/v1", &context)).unwrap()
}

/// The key machine's, as two holders who work together have it.
pub(crate) async fn checkpointer_key(system: &System) -> SigningKey {
    let share = async |number| open_seed_share(system, number).await.share;
    let shares = [share(0).await, share(1).await];
    let seed = combine(Threshold::new(2, 3).unwrap(), &shares).unwrap();
    let info = Encoder::new("keyfold/realm/checkpointer/v1").finish();
    let secret: Secret<32> = seed.expose(|seed| hkdf_sha256(&[], seed, &info));
    SigningKey::from_secret(&secret).unwrap()
}

/// Signs a hash, as a contract takes it.
pub(crate) fn sign(key: &SigningKey, hash: &B256) -> EcdsaSignature {
    let made = key.sign_prehash(&hash.0);
    EcdsaSignature::new(made.r.into(), made.s.into(), made.y_parity).unwrap()
}

/// Signs a hash with keys that stand in a wallet's tree.
pub(crate) fn parts(keys: &[&SigningKey], hash: &B256) -> Parts {
    let part = |key: &&SigningKey| {
        let signature = SignaturePart::EcdsaHash(sign(key, hash));
        (Address::from(key.address()), signature)
    };
    keys.iter().map(part).collect()
}

/// The keys themselves and every share of them, which we know by breaking into all holders.
pub(crate) async fn secrets(system: &System, person: &Person, wallet: &Wallet) -> Vec<Needle> {
    let threshold = Threshold::new(2, 3).unwrap();
    let mut needles = Vec::new();
    for purpose in [
        SharePurpose::LeafKey,
        SharePurpose::Entropy,
        SharePurpose::Seed,
    ] {
        let mut shares = Vec::new();
        for number in 0..3 {
            let opened = match purpose {
                SharePurpose::Seed => open_seed_share(system, number).await,
                _ => open_share(system, number, person, wallet, purpose).await,
            };
            let data = opened.share.data().expose(<[u8]>::to_vec);
            needles.push(Needle::new(format!("a share of {purpose:?}"), &data));
            shares.push(opened.share);
        }
        let secret = combine(threshold, &shares[..2]).unwrap();
        needles.push(Needle::new(
            format!("{purpose:?}"),
            &secret.expose(<[u8]>::to_vec),
        ));
        if purpose == SharePurpose::Entropy {
            let mnemonic = Entropy::from_bytes(secret).unwrap().to_mnemonic().unwrap();
            needles.push(mnemonic.expose(|phrase| Needle::new("the mnemonic", phrase.as_bytes())));
            let seed = mnemonic.to_seed("").unwrap();
            needles.push(seed.expose(|seed| Needle::new("the wallet's seed", seed)));
        }
    }
    needles
}
