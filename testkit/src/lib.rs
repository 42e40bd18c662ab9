//! The whole system as real processes, for tests.
//!
//! ```no_run
//! # async fn test() -> Result<(), keyfold_testkit::system::SystemError> {
//! use keyfold_testkit::system::{Options, Part, System};
//!
//! // In a test of this package: `Options::new(env!("CARGO_BIN_EXE_keyfold-test-roles"))`.
//! let system = System::start(Options::new("keyfold-test-roles")?).await?;
//! let device = system.new_device(system.project())?;
//! let session = system.sign_in(&device, system.project(), "user@mail.example").await?;
//! system.process(Part::Holder(0)).kill().await;
//! // ... two of three holders are enough ...
//! system.start_again(Part::Holder(0)).await?;
//! system.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Everything is on loopback, with ports and a folder of its own, and ends with the test, however
//! that ends. What a process printed stands in `system.process(..).log()`, what it keeps in
//! `system.files()`, what the host saw of the enclave's pipes in `system.files().traffic()` where
//! `Options::record_traffic` was set.
//!
//! What sign-in meets that is not ours, such as an OpenID provider, is in [`counterparts`].
//!
//! # What this crate may touch
//!
//! Everything, through `keyfold-dev`.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod counterparts;

pub use keyfold_dev::{journey, report, system};
