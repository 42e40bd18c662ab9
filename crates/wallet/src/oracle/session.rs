//! Session trees and session signatures.

use serde::Deserialize;

use super::config::rsv;
use super::params::{AddressText, Number, read};
use super::{Answer, OracleError, bytes, json};
use crate::Encoding;
use crate::session::{
    Attestation, SessionPermissions, SessionSignature, SessionTopology, SessionTreeError,
    SignedAttestation, SignedCall,
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Empty {
    identity_signer: AddressText,
}

pub(super) fn empty(params: &str) -> Answer {
    let empty: Empty = read(params)?;
    json(&SessionTopology::Branch(vec![
        SessionTopology::Blacklist(Vec::new()),
        SessionTopology::IdentitySigner(empty.identity_signer.0),
    ]))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    session_topology: SessionTopology,
    explicit_session: Option<SessionPermissions>,
    explicit_session_address: Option<AddressText>,
    blacklist_address: Option<AddressText>,
}

fn given<T>(field: Option<T>, name: &str) -> Result<T, OracleError> {
    field.ok_or_else(|| OracleError::Failed(format!("missing field `{name}`")))
}

/// The tree after a change. What is so already stays as it is.
fn changed(
    before: SessionTopology,
    change: impl FnOnce(SessionTopology) -> Result<SessionTopology, SessionTreeError>,
) -> Answer {
    match change(before.clone()) {
        Ok(after) => json(&after),
        Err(
            SessionTreeError::Blacklisted(_)
            | SessionTreeError::NotBlacklisted(_)
            | SessionTreeError::UnknownSigner(_),
        ) => json(&before),
        Err(error) => Err(OracleError::failed(error)),
    }
}

pub(super) fn encode_topology(params: &str) -> Answer {
    let topology = read::<Input>(params)?.session_topology;
    topology
        .encode(Encoding::Npm)
        .map_err(OracleError::failed)
        .and_then(bytes)
}

pub(super) fn image_hash(params: &str) -> Answer {
    let topology = read::<Input>(params)?.session_topology;
    topology.hash().map_err(OracleError::failed).and_then(bytes)
}

pub(super) fn add(params: &str) -> Answer {
    let input: Input = read(params)?;
    let session = given(input.explicit_session, "explicitSession")?;
    changed(input.session_topology, |tree| tree.with_session(session))
}

pub(super) fn remove(params: &str) -> Answer {
    let input: Input = read(params)?;
    let signer = given(input.explicit_session_address, "explicitSessionAddress")?;
    changed(input.session_topology, |tree| {
        tree.without_session(&signer.0)
    })
}

pub(super) fn blacklist_add(params: &str) -> Answer {
    let input: Input = read(params)?;
    let address = given(input.blacklist_address, "blacklistAddress")?;
    changed(input.session_topology, |tree| {
        tree.with_blacklisted(address.0)
    })
}

pub(super) fn blacklist_remove(params: &str) -> Answer {
    let input: Input = read(params)?;
    let address = given(input.blacklist_address, "blacklistAddress")?;
    changed(input.session_topology, |tree| {
        tree.without_blacklisted(&address.0)
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EncodeCalls {
    session_topology: SessionTopology,
    call_signatures: Vec<CallText>,
    #[serde(default)]
    explicit_signers: Vec<AddressText>,
    #[serde(default)]
    implicit_signers: Vec<AddressText>,
    identity_signer: Option<AddressText>,
}

/// A call's signature. Its numbers are not judged, unlike those of [`SignedCall`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallText {
    attestation: Option<Box<Attestation>>,
    identity_signature: Option<String>,
    permission_index: Option<Number<u8>>,
    session_signature: String,
}

impl CallText {
    fn signed(self) -> Result<SignedCall, OracleError> {
        let signature = rsv(Some(&self.session_signature))?;
        match (
            self.attestation,
            self.identity_signature,
            self.permission_index,
        ) {
            (Some(attestation), Some(by), _) => Ok(SignedCall::Implicit {
                attestation: Box::new(SignedAttestation {
                    attestation: *attestation,
                    signature: rsv(Some(&by))?,
                }),
                signature,
            }),
            (None, _, Some(index)) => Ok(SignedCall::Explicit {
                permission: index.0,
                signature,
            }),
            _ => Err(OracleError::failed("Invalid call signature")),
        }
    }
}

pub(super) fn encode_call_signatures(params: &str) -> Answer {
    let input: EncodeCalls = read(params)?;
    let topology = input.session_topology;
    if topology.blacklist().is_none() {
        return Err(OracleError::failed(SessionTreeError::NoBlacklist));
    }
    let identity = match input.identity_signer {
        Some(address) => address.0,
        None => *topology
            .identity_signers()
            .first()
            .ok_or_else(|| OracleError::failed(SessionTreeError::NoIdentitySigner))?,
    };
    let calls: Vec<SignedCall> = input
        .call_signatures
        .into_iter()
        .map(CallText::signed)
        .collect::<Result<_, _>>()?;
    let explicit: Vec<_> = input.explicit_signers.iter().map(|one| one.0).collect();
    let blacklist = !input.implicit_signers.is_empty();
    let shown = (explicit.as_slice(), blacklist);
    SessionSignature::with_visible(&topology, &calls, shown, &identity, Encoding::Npm)
        .and_then(|signature| signature.encode(Encoding::Npm))
        .map_err(OracleError::failed)
        .and_then(bytes)
}
