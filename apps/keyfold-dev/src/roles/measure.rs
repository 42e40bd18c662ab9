//! What the development platform measures: this program, for want of an enclave image.

use std::io;
use std::path::Path;

use keyfold_attest::{Measurements, Pcr, extend};
use keyfold_eif::{EifError, Image};
use sha2::{Digest as _, Sha384};

/// Why a program cannot be measured.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {path} to measure it")]
pub struct MeasureError {
    path: std::path::PathBuf,
    #[source]
    source: io::Error,
}

/// Measures a program as an image is measured: PCR2 the application, PCR1 what carries it, PCR0 all.
///
/// # Errors
///
/// [`MeasureError`] if it cannot be read.
pub fn measure(program: &Path) -> Result<Measurements, MeasureError> {
    let mut hash = Sha384::new();
    std::fs::File::open(program)
        .and_then(|mut file| io::copy(&mut file, &mut Hashing(&mut hash)))
        .map_err(|source| MeasureError {
            path: program.to_owned(),
            source,
        })?;
    let application: Pcr = hash.finalize().into();
    // There is no kernel of its own below it: the register says so instead of being zero.
    let carrier = extend([0; 48], b"keyfold development platform, no kernel");
    let image = extend(extend([0; 48], &carrier), &application);
    Ok(Measurements::of_image(
        image,
        carrier,
        extend([0; 48], &application),
    ))
}

/// Why an image cannot be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImageError {
    #[error("cannot read the enclave image")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Form(#[from] EifError),
}

/// Measures an enclave image as the machine does that boots it.
pub(crate) fn measure_image(image: &Path) -> Result<Measurements, ImageError> {
    Ok(Image::parse(&std::fs::read(image)?)?.measure())
}

struct Hashing<'a>(&'a mut Sha384);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_has_another_measurement_and_the_same_one_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        std::fs::write(&one, "program").unwrap();
        std::fs::write(&two, "Program").unwrap();
        let first = measure(&one).unwrap();
        assert_eq!(first, measure(&one).unwrap());
        let other = measure(&two).unwrap();
        assert_ne!(first.pcr0, other.pcr0);
        assert_ne!(first.pcr2, other.pcr2);
        assert_eq!(first.pcr1, other.pcr1);
        assert!(
            [first.pcr0, first.pcr1, first.pcr2]
                .iter()
                .all(|pcr| *pcr != [0; 48])
        );
    }
}
