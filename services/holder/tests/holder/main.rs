//! The holder against everybody who talks to it: real HTTP messages through the real router, real
//! SQLite files, documents from a development root. The attacks are named for their defect.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

mod anchors;
mod attempts;
mod calls;
mod devices;
mod durability;
mod evidence;
mod genesis;
mod identities;
mod issuers;
mod mail;
mod maintenance;
mod process;
mod registration;
mod release;
mod revocations;
mod sessions;
mod shares;
mod world;
