//! Which roots of attestation documents a program may use.

use std::path::Path;

use keyfold_attest::TrustRoot;

/// Reads a development root's certificate.
pub type RootLoader = fn(&Path) -> Result<TrustRoot, String>;

/// A way to development roots.
#[derive(Debug, Clone, Copy)]
pub struct DevelopmentRoot(RootLoader);

impl DevelopmentRoot {
    pub(crate) fn load(self, path: &Path) -> Result<TrustRoot, String> {
        (self.0)(path)
    }
}

/// The roots of a program. AWS's is always there.
///
/// # Security
///
/// A released program is made with [`Roots::aws_nitro`]; there is no way from a file, a variable or
/// an argument to another root then, for any enclave that is talked to. `keyfold attest verify
/// --root` judges a document by another root, says so, and acts on nothing.
#[derive(Debug, Clone, Copy)]
pub struct Roots {
    development: Option<DevelopmentRoot>,
}

impl Roots {
    /// AWS's root alone.
    pub const fn aws_nitro() -> Self {
        Self { development: None }
    }

    /// AWS's root, and for development profiles the one that `loader` reads from the file they
    /// name. For the development program and tests.
    pub const fn with_development(loader: RootLoader) -> Self {
        Self {
            development: Some(DevelopmentRoot(loader)),
        }
    }

    /// Returns the way to development roots, where there is one.
    pub const fn development(&self) -> Option<DevelopmentRoot> {
        self.development
    }
}
