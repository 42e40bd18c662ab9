//! Rate limits in bounded memory, and who the client is.
//!
//! Not for attempts at one-time codes: those must survive a restart.

mod client_ip;
mod rate;

pub use client_ip::{ClientIps, IpKey};
pub use rate::{Limited, RateLimit};
