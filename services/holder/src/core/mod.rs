//! What a holder decides, and in which order: no SQL, no HTTP, no clock, no randomness but by
//! argument.
//!
//! | Module | Decides |
//! |---|---|
//! | [`operation`] | whether evidence proves that a device of an account asks for an operation |
//! | [`standing`] | whether that device, session and nonce may act now |
//! | [`release`] | whether a share leaves the holder: the whole order of checks |
//! | [`deposit`] | whether shares of a new key are taken in |
//! | [`devices`] | what becomes of a device on an account's list |
//! | [`evidence`] | what vouches for a device besides the enclave |
//! | [`genesis`] | whether a realm record is one this holder agrees to |
//! | [`anchors`] | whether others' statements move an anchor |
//! | [`maintenance`] | what is done with shares under a warrant |
//! | [`window`] | counting in fixed windows |

pub(crate) mod anchors;
pub(crate) mod deposit;
pub(crate) mod devices;
pub(crate) mod evidence;
pub(crate) mod genesis;
pub(crate) mod maintenance;
pub(crate) mod operation;
pub(crate) mod release;
pub(crate) mod revocation;
pub(crate) mod standing;
pub(crate) mod window;
