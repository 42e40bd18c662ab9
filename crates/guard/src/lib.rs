//! The guard's judgement: what a payload does, and whether the project's policy lets it.
//!
//! Pure: no network, clock or randomness. [`reading`] turns calls into what they do, [`policy`] is
//! the project's typed and versioned rules, [`decision`] compares the two. What is decided on is
//! the same value that is hashed and signed.
//!
//! Whatever is not understood, or understood and not named in the policy, is refused.
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod decision;
pub mod policy;
pub mod reading;

pub use decision::{Approval, Reason, Refusal, decide, decide_change, decide_publication};
pub use policy::{Policy, PolicyError, ValidPolicy};
pub use reading::{Reading, read};
