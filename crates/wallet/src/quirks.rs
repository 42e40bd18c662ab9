//! Where `@0xsequence/wallet-primitives` 3.0.9 differs from the shortest encoding or from the
//! contracts, in one place.
//!
//! What is reproduced stands behind [`crate::Encoding::Npm`] or in a function of its own, for
//! comparisons with the package only; `conformance/` compares over random inputs.
//!
//! Reproduced:
//!
//! 1. **Zero takes a byte.** A checkpoint of 0, a nonce of 0 and the length of empty sapient data
//!    are written as one zero byte, where the format allows none ([`crate::signature::encode()`],
//!    [`crate::payload::pack`]).
//! 2. **Empty calldata has a length.** The data flag of a packed call is always set
//!    ([`crate::payload::pack`]).
//! 3. **The length of ERC-1271 data is measured on its hex text**, `0x` included, so the length
//!    field may be a byte wider than it has to be ([`crate::signature::encode()`]).
//! 4. **Every branch of a session tree is wrapped**, the outermost and the leftmost too, though
//!    the fold would give the same root without ([`crate::session::SessionTopology::encode`]).
//! 5. **Text is counted in UTF-16 units but written as UTF-8**: the redirect URL of an
//!    attestation, the client data of a passkey. Beyond ASCII nobody can read the result
//!    ([`crate::session::Attestation::pack`], [`crate::passkey::PasskeySignature::encode`]). The
//!    oracle counts the places of a passkey's challenge and type so, too.
//! 6. **The hash of a digest payload is the digest itself**, not what the contracts hash
//!    ([`crate::Payload::npm_hash`]).
//! 7. **Widths follow the count of bytes**: a passkey's field of up to 255 bytes has a one-byte
//!    length; this is the shortest form too, and the ABI form is never emitted.
//! 8. **What is so already is no error** (oracle only): putting on the blacklist what is on it, and
//!    taking off it or out of the sessions what is not there, leave the tree as it is. A recovery
//!    tree trimmed for a stranger is its hash.
//! 9. **An empty blacklist is hidden** where nobody needs it: its hash takes 33 bytes, the list one
//!    ([`crate::session::SessionTopology::minimised`]).
//! 10. **Nothing is judged** (oracle only): thresholds of zero, signers at address zero and ECDSA
//!     signatures out of range are written down.
//!
//! Not reproduced, since no byte of ours depends on it:
//!
//! - A session that has ever sent coin has to repeat its total with every payload, in the package and
//!   in Sequence's contracts. Ours, and [`crate::session::recover()`], ask for totals only where the
//!   first call counts; without it nothing that has a limit may be used. [`crate::session::increment_call`]
//!   makes the call wherever the format wants it, which ours take too.
//! - Sessions: the package allows the nonce space 2^80 - 1, takes a deadline of 0 or of now as
//!   expired, refuses sessions without permissions when it reads them, and fills calldata that is
//!   too short for a rule with zeros. [`crate::session::recover()`] does what the contract does, and
//!   refuses rules that look beyond the calldata.
//! - A branch of a session tree whose more than two children are all hidden becomes the hash of
//!   all of them in a row, which is not its root. Ours is folded, as the contract does.
//! - The package cannot read the chained signatures that it writes. Ours are read.
//! - It reads trees back as left-leaning pairs. So do the JSON forms of
//!   [`crate::signature::Decoded`].
//! - Addresses: the package repeats them in the letters in which it got them, and compares some as
//!   text (removing from the blacklist, choosing the visible sessions). Ours are compared as
//!   addresses and written with their checksum; the comparison ignores the case.
//! - Whether a passkey signed: the package finds the type of the client data at its second place
//!   only, wants 37 bytes of authenticator data, and looks at the backup flags. The contract, the
//!   oracle and [`crate::passkey::verify`] do none of that.
//! - The package cannot write a payload of calls as JSON, for its numbers. The oracle can.
//! - Weights do not wrap in the package; on chain they do. Here a weight that wraps is refused.

/// The length that the package writes for UTF-8 text: its UTF-16 units.
pub(crate) fn text_length(utf8: &[u8]) -> usize {
    core::str::from_utf8(utf8).map_or(utf8.len(), |text| text.encode_utf16().count())
}
