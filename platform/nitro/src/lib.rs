//! The platform of an AWS Nitro enclave, and of QEMU's machine of that name.
//!
//! [`NitroModule`] is the security module behind `/dev/nsm`; [`Parent`] is the instance at the other
//! end of vsock. With the [runtime](keyfold_enclave_runtime) they make the application's platform.
//!
//! # What this crate may touch
//!
//! `/dev/nsm`, the kernel's generator, vsock, and what its caller read of the kernel's command line.

#![cfg(target_os = "linux")]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod module;
mod parent;
mod random;

pub use module::{DEVICE, ModuleError, NitroModule};
pub use parent::{OUTBOUND_PORT, Parent, READY_PORT};
