//! Enclave image files (EIF): a kernel, its command line and ramdisks in one file, as Nitro enclaves
//! and QEMU's machine of that name boot them.
//!
//! - [`Archive`]: a ramdisk: a cpio archive without times or owners, compressed.
//! - [`Image`]: the parts of an image, to [write](Image::to_bytes), [read](Image::parse) and
//!   [measure](Image::measure).
//!
//! The same parts give the same bytes: nothing here depends on when, where or by whom it is called.
//!
//! # What this crate may touch
//!
//! Its arguments and nothing else: no files, clock or environment.

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod archive;
mod image;

pub use archive::{Archive, ArchiveError};
pub use image::{EifError, Image, MAX_IMAGE};
