//! One function for each decoder of untrusted bytes, which takes any bytes and panics if the
//! decoder breaks its promise.
//!
//! Not to crash is the least of it. Each function asserts a property: what was decoded encodes to
//! the same bytes; two ways to compute one thing agree; whatever passes verification says what was
//! signed. Where a signature would keep the fuzzer out, a target signs the fuzzer's bytes itself
//! with a fixed key, so that what lies behind the signature is reached too.
//!
//! [`TARGETS`] lists them. A program in `fuzz_targets/` hands each to libFuzzer; the test here
//! replays `seeds/`, where the inputs that once broke something stay.
//!
//! Everything is a function of the input: keys come from fixed seeds, the clock is a constant.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod attest;
pub mod crypto;
pub mod extensions;
mod fixtures;
pub mod guard;
pub mod identity;
pub mod log;
pub mod net;
pub mod oidc;
pub mod protocol;
pub mod seeds;
pub mod wallet;

/// Takes any bytes, panics on a defect.
pub type Target = fn(&[u8]);

/// Every target with its name, which is also the name of its program and of its folder of seeds.
pub const TARGETS: &[(&str, Target)] = &[
    ("attest_inspect", attest::inspect),
    ("attest_payload", attest::payload),
    ("attest_verify", attest::verify),
    ("crypto_jwk", crypto::jwk),
    ("crypto_mnemonic", crypto::mnemonic),
    ("crypto_sealed", crypto::sealed),
    ("crypto_share", crypto::share),
    ("guard_decision", guard::decision),
    ("guard_policy", guard::policy),
    ("identity_email", identity::email),
    ("identity_oidc_answer", oidc::answer),
    ("identity_oidc_callback", oidc::callback),
    ("identity_oidc_discovery", oidc::discovery),
    ("identity_oidc_id_token", oidc::id_token),
    ("identity_oidc_jwks", oidc::jwks),
    ("identity_message", identity::message),
    ("identity_passkey", identity::passkey),
    ("identity_password", identity::password),
    ("log_checkpoint", log::checkpoint),
    ("log_frontier", log::frontier),
    ("log_note", log::note),
    ("log_proof", log::proof),
    ("net_http", net::http),
    ("net_pipe", net::pipe),
    ("protocol_attestation_keys", protocol::attestation_keys),
    ("protocol_components", protocol::components),
    ("protocol_config", protocol::config),
    ("protocol_cookie", protocol::cookie),
    ("protocol_evidence", protocol::evidence),
    ("protocol_inner_message", protocol::inner_message),
    ("protocol_intent", protocol::intent),
    ("protocol_ohttp", protocol::ohttp),
    ("protocol_realm", protocol::realm),
    ("protocol_session", protocol::session),
    ("protocol_session_claims", protocol::session_claims),
    ("protocol_signed_request", protocol::signed_request),
    ("wallet_config", wallet::config),
    ("wallet_erc6492", wallet::erc6492),
    ("wallet_passkey", extensions::passkey),
    ("wallet_payload", wallet::payload),
    ("wallet_payload_abi", extensions::payload_abi),
    ("wallet_proof", extensions::proof),
    ("wallet_recovery", extensions::recovery),
    ("wallet_session", extensions::session),
    ("wallet_session_signature", extensions::session_signature),
    ("wallet_signature", wallet::signature),
];

#[cfg(test)]
thread_local! {
    static REACHED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Stands where a target begins to assert; a test sees to it that seeds get there.
fn reached() {
    #[cfg(test)]
    REACHED.with(|count| count.set(count.get() + 1));
}

#[cfg(test)]
mod replay {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::{REACHED, TARGETS, seeds};

    fn root() -> &'static Path {
        Path::new(env!("CARGO_MANIFEST_DIR"))
    }

    fn names(folder: &str) -> BTreeSet<String> {
        fs::read_dir(root().join(folder))
            .expect("a folder of the crate")
            .map(|entry| entry.expect("an entry").path())
            .map(|path| {
                path.file_stem()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned()
            })
            .collect()
    }

    #[test]
    fn every_committed_seed_passes_its_target_and_some_reach_what_it_asserts() {
        for (name, target) in TARGETS {
            REACHED.set(0);
            for entry in fs::read_dir(root().join("seeds").join(name)).expect("seeds") {
                let path = entry.expect("an entry").path();
                println!("{}", path.display());
                target(&fs::read(&path).expect("a seed"));
            }
            assert!(REACHED.get() > 0, "{name} asserts nothing of its seeds");
        }
    }

    #[test]
    fn every_target_has_a_program_and_a_folder_of_seeds() {
        let listed: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(names("fuzz_targets"), listed);
        assert_eq!(names("seeds"), listed);
        let seeded: BTreeSet<String> = seeds::all()
            .into_iter()
            .map(|s| s.target.to_owned())
            .collect();
        assert_eq!(seeded, listed);
    }
}
