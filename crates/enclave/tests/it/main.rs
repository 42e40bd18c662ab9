//! The trusted application against simulated holders, guard, host and mail, all in one process.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod app;
mod app_server;
mod attacks;
mod channel;
mod config;
mod contexts;
mod cookies;
mod device;
mod factors;
mod floods;
mod guard;
mod holder;
mod host;
mod instances;
mod liars;
mod life;
mod load;
mod methods;
mod projects;
mod publication;
mod races;
mod records;
mod revocation;
mod sign_in;
mod signing;
mod timing;
mod web;
mod webhooks;
mod world;
