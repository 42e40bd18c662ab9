//! Signed notes: a text and lines of signatures under it.
//!
//! C2SP signed-note, with Ed25519 (signature type 0x01). The text of a [`SignedNote`] cannot be
//! reached before a signature over it was verified.

use core::fmt;

use base64ct::{Base64, Encoding};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// The most bytes a signed note may have.
pub const MAX_NOTE_BYTES: usize = 64 * 1024;
/// The most signature lines a note may have.
pub const MAX_SIGNATURES: usize = 16;
/// The most bytes the name of a key may have.
pub const MAX_NAME_BYTES: usize = 255;

const ED25519: u8 = 0x01;
const SIGNATURE_LINE: &str = "\u{2014} ";

/// Why a note, a name or a verifier key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// A key name is empty, too long, or has spaces, control characters or a plus sign.
    #[error("the key name is not one a note can carry")]
    BadName,
    /// The public key is not a point that Ed25519 can verify with.
    #[error("the public key is not an Ed25519 key")]
    BadKey,
    /// The bytes are not a signed note, or the text is not one that can be signed.
    #[error("the note is malformed")]
    Malformed,
    /// The note is longer or has more signatures than is allowed.
    #[error("the note is too large")]
    TooLarge,
    /// No signature is by the key asked for.
    #[error("the note is not signed by the expected key")]
    UnknownSigner,
    /// The signature by the key asked for does not verify.
    #[error("the note's signature is wrong")]
    WrongSignature,
}

/// What a [`NoteSigner`] asks of the key behind it.
///
/// A trait, so that the key may live in an HSM or in another crate's secret type.
pub trait Ed25519Signer {
    /// Returns the public key.
    fn public_key(&self) -> [u8; 32];

    /// Signs with pure Ed25519 (RFC 8032).
    fn sign(&self, message: &[u8]) -> [u8; 64];
}

/// An Ed25519 key in memory, for signing notes.
///
/// # Security
///
/// The seed is wiped when the key is dropped; copies that the compiler made are not.
pub struct NoteKey(SigningKey);

impl NoteKey {
    /// Takes the 32-byte seed (the private key of RFC 8032).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(seed))
    }
}

impl Ed25519Signer for NoteKey {
    fn public_key(&self) -> [u8; 32] {
        self.0.verifying_key().to_bytes()
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl fmt::Debug for NoteKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NoteKey(..)")
    }
}

/// Computes the key id: SHA-256(name ‖ 0x0A ‖ 0x01 ‖ public key), its first four bytes.
fn key_id(name: &str, public_key: &[u8; 32]) -> [u8; 4] {
    let digest: [u8; 32] = Sha256::new()
        .chain_update(name.as_bytes())
        .chain_update([b'\n', ED25519])
        .chain_update(public_key)
        .finalize()
        .into();
    let [a, b, c, d, ..] = digest;
    [a, b, c, d]
}

fn check_name(name: &str) -> Result<(), NoteError> {
    let fits = !name.is_empty() && name.len() <= MAX_NAME_BYTES;
    if fits
        && !name
            .chars()
            .any(|c| c == '+' || c.is_whitespace() || c.is_control())
    {
        Ok(())
    } else {
        Err(NoteError::BadName)
    }
}

/// Checks what holds for a text with or without its signatures.
fn check_text(text: &str) -> Result<(), NoteError> {
    if text.len() > MAX_NOTE_BYTES {
        return Err(NoteError::TooLarge);
    }
    let clean = !text.chars().any(|c| c < ' ' && c != '\n');
    if clean && text.ends_with('\n') {
        Ok(())
    } else {
        Err(NoteError::Malformed)
    }
}

/// A named key that signs notes.
pub struct NoteSigner {
    name: String,
    id: [u8; 4],
    key: Box<dyn Ed25519Signer + Send + Sync>,
}

impl NoteSigner {
    /// Gives a key the name under which verifiers know it; for a log, its origin.
    ///
    /// # Errors
    ///
    /// [`NoteError::BadName`].
    pub fn new(
        name: impl Into<String>,
        key: impl Ed25519Signer + Send + Sync + 'static,
    ) -> Result<Self, NoteError> {
        let name = name.into();
        check_name(&name)?;
        let id = key_id(&name, &key.public_key());
        Ok(Self {
            name,
            id,
            key: Box::new(key),
        })
    }

    /// Returns the key's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the verifier that accepts what this signer signs.
    ///
    /// # Errors
    ///
    /// [`NoteError::BadKey`] if the key behind the signer reports something that is no public key.
    pub fn verifier(&self) -> Result<NoteVerifier, NoteError> {
        NoteVerifier::new(self.name.clone(), &self.key.public_key())
    }

    /// Signs a text and returns the whole note.
    ///
    /// # Errors
    ///
    /// [`NoteError::Malformed`] unless the text ends with a newline and has no other control
    /// character; [`NoteError::TooLarge`].
    pub fn sign(&self, text: &str) -> Result<String, NoteError> {
        check_text(text)?;
        let mut signature = [0; 68];
        let (id, bytes) = signature.split_at_mut(4);
        id.copy_from_slice(&self.id);
        bytes.copy_from_slice(&self.key.sign(text.as_bytes()));
        let encoded = Base64::encode_string(&signature);
        let note = format!("{text}\n{SIGNATURE_LINE}{} {encoded}\n", self.name);
        if note.len() > MAX_NOTE_BYTES {
            Err(NoteError::TooLarge)
        } else {
            Ok(note)
        }
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NoteSigner")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A named public key that verifies notes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    id: [u8; 4],
    key: VerifyingKey,
}

impl NoteVerifier {
    /// Takes a name and an Ed25519 public key.
    ///
    /// # Errors
    ///
    /// [`NoteError::BadName`]; [`NoteError::BadKey`] if the bytes are no point, or one of small
    /// order, under which anybody could sign.
    pub fn new(name: impl Into<String>, public_key: &[u8; 32]) -> Result<Self, NoteError> {
        let name = name.into();
        check_name(&name)?;
        let key = VerifyingKey::from_bytes(public_key).map_err(|_| NoteError::BadKey)?;
        if key.is_weak() {
            return Err(NoteError::BadKey);
        }
        Ok(Self {
            id: key_id(&name, public_key),
            name,
            key,
        })
    }

    /// Reads a verifier key, `<name>+<key id in hex>+<base64 of 0x01 and the public key>`.
    ///
    /// # Errors
    ///
    /// [`NoteError::Malformed`] if it is not of that form or the key id is not that of the key;
    /// otherwise as [`NoteVerifier::new`].
    pub fn parse(vkey: &str) -> Result<Self, NoteError> {
        if vkey.len() > MAX_NAME_BYTES + 64 {
            return Err(NoteError::TooLarge);
        }
        // Base64 may itself have a plus: only the first two separate.
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(NoteError::Malformed);
        };
        let mut decoded = [0; 33];
        let decoded = Base64::decode(key, &mut decoded).map_err(|_| NoteError::Malformed)?;
        let Some((&ED25519, public_key)) = decoded.split_first() else {
            return Err(NoteError::Malformed);
        };
        let public_key = public_key.try_into().map_err(|_| NoteError::Malformed)?;
        let verifier = Self::new(name, public_key)?;
        if id == verifier.id_hex() {
            Ok(verifier)
        } else {
            Err(NoteError::Malformed)
        }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.to_bytes()
    }

    fn id_hex(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.id))
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed = [&[ED25519], &self.key.to_bytes()[..]].concat();
        write!(
            f,
            "{}+{}+{}",
            self.name,
            self.id_hex(),
            Base64::encode_string(&typed)
        )
    }
}

struct SignatureLine {
    name: String,
    id: [u8; 4],
    bytes: Vec<u8>,
}

/// A note that was read but not yet verified.
pub struct SignedNote {
    text: String,
    signatures: Vec<SignatureLine>,
}

impl SignedNote {
    /// Reads a note.
    ///
    /// # Errors
    ///
    /// [`NoteError::TooLarge`] or [`NoteError::Malformed`].
    ///
    /// # Security
    ///
    /// Bounded by [`MAX_NOTE_BYTES`] and [`MAX_SIGNATURES`]. Nothing is verified yet.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        let note = core::str::from_utf8(bytes).map_err(|_| NoteError::Malformed)?;
        check_text(note)?;
        let blank = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
        let (text, rest) = note.split_at(blank + 1);
        let lines = rest.strip_prefix('\n').ok_or(NoteError::Malformed)?;
        let mut signatures = Vec::new();
        for line in lines.split_terminator('\n') {
            if signatures.len() == MAX_SIGNATURES {
                return Err(NoteError::TooLarge);
            }
            signatures.push(parse_signature(line).ok_or(NoteError::Malformed)?);
        }
        if signatures.is_empty() {
            return Err(NoteError::Malformed);
        }
        Ok(Self {
            text: text.to_owned(),
            signatures,
        })
    }

    /// Verifies the signature by one key and returns the text.
    ///
    /// # Errors
    ///
    /// [`NoteError::UnknownSigner`] if that key did not sign; [`NoteError::WrongSignature`] if any
    /// line that claims to be by it does not verify.
    ///
    /// # Security
    ///
    /// Strict Ed25519: non-canonical signatures and points of small order are refused. Signatures
    /// by other keys are not looked at. Variable-time; nothing here is secret.
    pub fn verify(&self, verifier: &NoteVerifier) -> Result<&str, NoteError> {
        let mut signed = false;
        for line in &self.signatures {
            if line.name != verifier.name || line.id != verifier.id {
                continue;
            }
            let signature =
                Signature::from_slice(&line.bytes).map_err(|_| NoteError::WrongSignature)?;
            verifier
                .key
                .verify_strict(self.text.as_bytes(), &signature)
                .map_err(|_| NoteError::WrongSignature)?;
            signed = true;
        }
        if signed {
            Ok(&self.text)
        } else {
            Err(NoteError::UnknownSigner)
        }
    }
}

impl fmt::Debug for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the text: it is unverified, and a log is a place where it would be believed.
        f.debug_struct("SignedNote")
            .field("signatures", &self.signatures.len())
            .finish_non_exhaustive()
    }
}

fn parse_signature(line: &str) -> Option<SignatureLine> {
    let (name, encoded) = line.strip_prefix(SIGNATURE_LINE)?.split_once(' ')?;
    check_name(name).ok()?;
    let decoded = Base64::decode_vec(encoded).ok()?;
    let (id, bytes) = decoded.split_first_chunk::<4>()?;
    if bytes.is_empty() {
        return None;
    }
    Some(SignatureLine {
        name: name.to_owned(),
        id: *id,
        bytes: bytes.to_vec(),
    })
}

#[cfg(test)]
mod tests;
