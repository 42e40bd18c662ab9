//! The gateway as strangers, enclaves and operators meet it: real sockets, a fake enclave.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

mod cookies;
mod discovery;
mod egress;
mod forwarding;
mod limits;
mod openapi;
mod privacy;
mod records;
mod relay;
mod support;
mod trees;
