//! The client against a gateway and an enclave in memory, honest and otherwise.

mod config;
mod cookies;
mod known;
mod sessions;
mod signatures;
mod verification;
mod wallets;
mod world;
