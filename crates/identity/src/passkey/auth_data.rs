//! What the authenticator says and signs: `authData`.

use super::PasskeyError;
use super::cbor::{CborError, Reader};
use super::cose::PasskeyPublicKey;

/// Most bytes of authenticator data: a credential id of 1023, an RSA key, and some extensions.
pub const MAX_AUTHENTICATOR_DATA_LEN: usize = 4096;
/// Most bytes of a credential's id (WebAuthn section 4).
pub const MAX_CREDENTIAL_ID_LEN: usize = 1023;
/// Fewest bytes: of 100 bits of entropy or more (WebAuthn section 4).
pub const MIN_CREDENTIAL_ID_LEN: usize = 16;

const USER_PRESENT: u8 = 1;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKED_UP: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;
const EXTENSIONS: u8 = 1 << 7;

/// Authenticator data, read but not believed: its signature is still to be checked.
#[derive(Debug)]
pub(super) struct AuthenticatorData {
    pub(super) rp_id_hash: [u8; 32],
    flags: u8,
    pub(super) sign_count: u32,
    pub(super) attested: Option<Attested>,
}

/// The credential that a registration makes.
#[derive(Debug)]
pub(super) struct Attested {
    pub(super) aaguid: [u8; 16],
    pub(super) credential_id: Vec<u8>,
    pub(super) public_key: PasskeyPublicKey,
}

impl AuthenticatorData {
    /// WebAuthn section 6.1. Everything must be there and nothing may follow.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, PasskeyError> {
        if bytes.len() > MAX_AUTHENTICATOR_DATA_LEN {
            return Err(PasskeyError::TooLong);
        }
        let cut = PasskeyError::MalformedAuthenticatorData(CborError::Truncated);
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>().ok_or(cut)?;
        let ([flags, count @ ..], rest) = rest.split_first_chunk::<5>().ok_or(cut)?;
        let (attested, rest) = if flags & ATTESTED == 0 {
            (None, rest)
        } else {
            let (attested, rest) = Attested::read(rest)?;
            (Some(attested), rest)
        };
        let mut reader = Reader::new(rest);
        if flags & EXTENSIONS != 0 {
            // None was asked for. One that is there all the same is read past, as WebAuthn asks.
            if rest.first().is_none_or(|byte| byte >> 5 != 5) {
                return Err(PasskeyError::MalformedAuthenticatorData(
                    CborError::UnexpectedType,
                ));
            }
            reader
                .skip()
                .map_err(PasskeyError::MalformedAuthenticatorData)?;
        }
        reader
            .finish()
            .map_err(PasskeyError::MalformedAuthenticatorData)?;
        let data = Self {
            rp_id_hash: *rp_id_hash,
            flags: *flags,
            sign_count: u32::from_be_bytes(*count),
            attested,
        };
        if data.backed_up() && !data.backup_eligible() {
            return Err(PasskeyError::BackupFlags);
        }
        Ok(data)
    }

    pub(super) fn user_present(&self) -> bool {
        self.flags & USER_PRESENT != 0
    }

    pub(super) fn user_verified(&self) -> bool {
        self.flags & USER_VERIFIED != 0
    }

    pub(super) fn backup_eligible(&self) -> bool {
        self.flags & BACKUP_ELIGIBLE != 0
    }

    pub(super) fn backed_up(&self) -> bool {
        self.flags & BACKED_UP != 0
    }
}

impl Attested {
    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), PasskeyError> {
        let cut = PasskeyError::MalformedAuthenticatorData(CborError::Truncated);
        let (aaguid, rest) = bytes.split_first_chunk::<16>().ok_or(cut)?;
        let (len, rest) = rest.split_first_chunk::<2>().ok_or(cut)?;
        let len = usize::from(u16::from_be_bytes(*len));
        if !(MIN_CREDENTIAL_ID_LEN..=MAX_CREDENTIAL_ID_LEN).contains(&len) {
            return Err(PasskeyError::CredentialIdLength);
        }
        let (credential_id, rest) = rest.split_at_checked(len).ok_or(cut)?;
        let mut reader = Reader::new(rest);
        let public_key = PasskeyPublicKey::read(&mut reader)?;
        let attested = Self {
            aaguid: *aaguid,
            credential_id: credential_id.to_vec(),
            public_key,
        };
        Ok((attested, reader.rest()))
    }
}
