//! Images as bytes: the same for everybody, measured alike by code that is not ours, and nothing else
//! taken for one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]
// The vector is a file, and UPDATE=1 writes it.
#![allow(clippy::disallowed_methods)]

use keyfold_eif::{Archive, EifError, Image};
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

const HEADER: usize = 548;

fn image() -> Image {
    let mut boot = Archive::new();
    boot.directory("dev", 0o755).unwrap();
    boot.device("dev/console", 0o600, 5, 1).unwrap();
    boot.file("init", 0o500, b"first program\n").unwrap();
    let mut application = Archive::new();
    application
        .file("service", 0o555, b"application\n")
        .unwrap();
    Image {
        kernel: b"kernel".to_vec(),
        command_line: b"console=ttyS0".to_vec(),
        metadata: b"{}".to_vec(),
        boot_ramdisk: boot.into_gzip().unwrap(),
        application_ramdisks: vec![application.into_gzip().unwrap()],
        default_memory: 1 << 28,
        default_processors: 2,
    }
}

fn bytes() -> Vec<u8> {
    image().to_bytes().unwrap()
}

/// The image with a header field changed, and the checksum made right again.
fn with(change: impl FnOnce(&mut Vec<u8>)) -> Result<Image, EifError> {
    let mut bytes = bytes();
    change(&mut bytes);
    if bytes.len() >= HEADER {
        let mut crc = crc32fast::Hasher::new();
        crc.update(&bytes[..HEADER - 4]);
        crc.update(&bytes[HEADER..]);
        bytes[HEADER - 4..HEADER].copy_from_slice(&crc.finalize().to_be_bytes());
    }
    Image::parse(&bytes)
}

/// `tools/enclave/measure.mjs` measures this very image by other code (tools/test/eif.test.mjs).
#[test]
fn the_same_parts_give_the_bytes_and_measurements_of_the_vector() {
    let measured = image().measure();
    let line = |name: &str, value: &[u8]| format!("  \"{name}\": \"{}\"", hex::encode(value));
    let written = format!(
        "{{\n{}\n}}\n",
        [
            line("image", &bytes()),
            line("sha256", &Sha256::digest(bytes())),
            line("pcr0", &measured.pcr0),
            line("pcr1", &measured.pcr1),
            line("pcr2", &measured.pcr2),
        ]
        .join(",\n")
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/eif.json");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, &written).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), written);
}

#[test]
fn what_was_written_is_read_and_written_again_to_the_same_bytes() {
    let mut image = image();
    image.application_ramdisks.push(b"another".to_vec());
    let bytes = image.to_bytes().unwrap();
    let read = Image::parse(&bytes).unwrap();
    assert_eq!(read, image);
    assert_eq!(read.to_bytes().unwrap(), bytes);
}

#[test]
fn an_image_with_any_flipped_bit_is_refused() {
    let good = bytes();
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        assert!(Image::parse(&bytes).is_err(), "byte {at}");
    }
}

#[test]
fn an_image_that_ends_early_or_late_is_refused() {
    let length = bytes().len();
    for end in [0, 1, HEADER - 1, HEADER, HEADER + 5, length - 1] {
        assert!(with(|bytes| bytes.truncate(end)).is_err(), "{end}");
    }
    assert_eq!(with(|bytes| bytes.push(0)), Err(EifError::Malformed));
}

#[test]
fn a_table_that_does_not_say_what_the_sections_say_is_refused() {
    assert!(with(|_| ()).is_ok());
    // Version, architecture, a reserved field, counts, the first place and size, an unused place.
    for (at, value) in [
        (5, 3),
        (7, 1),
        (25, 1),
        (27, 4),
        (27, 33),
        (35, 0),
        (291, 7),
        (83, 1),
    ] {
        let refused = with(|bytes| {
            assert_ne!(bytes[at], value, "byte {at}");
            bytes[at] = value;
        });
        assert!(refused.is_err(), "byte {at}");
    }
}

#[test]
fn sections_in_another_order_or_signed_are_refused() {
    // The type of the first section: a kernel becomes a signature.
    assert_eq!(with(|it| it[HEADER + 1] = 4), Err(EifError::Sections));
    assert_eq!(with(|it| it[HEADER + 1] = 3), Err(EifError::Sections));
    let mut image = image();
    image.application_ramdisks.clear();
    assert_eq!(image.to_bytes(), Err(EifError::Sections));
    image.application_ramdisks = vec![vec![]; 29];
    assert_eq!(image.to_bytes(), Err(EifError::Sections));
}

proptest! {
    #[test]
    fn any_bytes_are_refused_without_a_panic(noise in proptest::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert!(Image::parse(&noise).is_err());
        let mut behind_a_header = bytes();
        behind_a_header.truncate(HEADER);
        behind_a_header.extend(noise);
        prop_assert!(Image::parse(&behind_a_header).is_err());
    }
}
