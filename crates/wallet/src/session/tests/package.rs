//! What the npm package encodes, byte for byte (`vectors/sessions.json`).

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Packed {
    json: Attestation,
    packed: Bytes,
    hash: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Case {
    identity: Address,
    topology: SessionTopology,
    encoded: Bytes,
    root: B256,
    removed: Option<Address>,
    without: Option<SessionTopology>,
    attestations: Vec<Packed>,
    calls: Vec<SignedCall>,
    explicit_signers: Vec<Address>,
    implicit: bool,
    signature: Bytes,
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("../../../vectors/sessions.json")).unwrap()
}

#[test]
fn trees_are_those_of_the_package() {
    for case in cases() {
        assert_eq!(case.topology.hash().unwrap(), case.root);
        assert_eq!(case.topology.encode(Encoding::Npm).unwrap(), case.encoded);
        let decoded = SessionTopology::decode(&case.encoded).unwrap();
        assert_eq!(decoded, case.topology);
        let shortest = case.topology.encode(Encoding::Shortest).unwrap();
        assert!(shortest.len() < case.encoded.len());
        let decoded = SessionTopology::decode(&shortest).unwrap();
        assert_eq!(decoded.hash().unwrap(), case.root);
        if let Some(removed) = case.removed {
            let without = case.topology.without_session(&removed).unwrap();
            assert_eq!(Some(without), case.without);
        }
    }
}

#[test]
fn attestations_are_those_of_the_package() {
    for case in cases().iter().flat_map(|case| &case.attestations) {
        assert_eq!(case.json.pack(Encoding::Npm).unwrap(), case.packed);
        assert_eq!(keccak256(&case.packed), case.hash);
        let bytes = case.json.pack(Encoding::Shortest).unwrap();
        assert_eq!(Attestation::unpack(&bytes).unwrap(), case.json);
        // The package miscounts text beyond ASCII, and nobody can read what it writes then.
        assert_eq!(bytes == case.packed, case.json.redirect_url.is_ascii());
    }
}

#[test]
fn signatures_are_those_of_the_package() {
    for case in cases() {
        let signature = SessionSignature::with_visible(
            &case.topology,
            &case.calls,
            (&case.explicit_signers, case.implicit),
            &case.identity,
            Encoding::Npm,
        )
        .unwrap();
        assert_eq!(signature.encode(Encoding::Npm).unwrap(), case.signature);
        assert_eq!(signature.topology.hash().unwrap(), case.root);
        let decoded = SessionSignature::decode(&case.signature, case.calls.len());
        let mut attested = signature.attestations.iter();
        if attested.all(|signed| signed.attestation.redirect_url.is_ascii()) {
            assert_eq!(decoded.unwrap(), signature);
        }
    }
}

#[test]
fn json_survives_the_round_trip() {
    for case in cases() {
        let text = serde_json::to_string(&case.topology).unwrap();
        assert_eq!(
            serde_json::from_str::<SessionTopology>(&text).unwrap(),
            case.topology
        );
        let text = serde_json::to_string(&case.calls).unwrap();
        assert_eq!(
            serde_json::from_str::<Vec<SignedCall>>(&text).unwrap(),
            case.calls
        );
    }
}

#[test]
fn json_with_a_defect_is_refused() {
    let refused = |text: &str| assert!(serde_json::from_str::<SessionTopology>(text).is_err());
    refused("[]");
    refused(r#"["0x00"]"#);
    refused(r#"{"type":"implicit-blacklist"}"#);
    refused(r#"{"type":"identity-signer","identitySigner":"0x11"}"#);
    refused(&"[".repeat(10_000));
    for bad in [
        r#"{"permissionIndex":"0"}"#,
        r#"{"permissionIndex":"256","sessionSignature":"0x:0x:27"}"#,
    ] {
        assert!(serde_json::from_str::<SignedCall>(bad).is_err());
    }
}
