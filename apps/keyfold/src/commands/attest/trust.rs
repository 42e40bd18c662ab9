//! What an auditor trusts and demands, from the files that they name.

use std::path::Path;

use keyfold_attest::{Measurements, TrustRoot};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use serde::Deserialize;

use crate::args::HexBytes;
use crate::error::CliError;
use crate::files::{read, read_bytes};

/// Most bytes of a file with a certificate or a key, comments around PEM included.
const MAX_FILE_LEN: u64 = 64 * 1024;
/// Most bytes of a key that a document can hold.
const MAX_KEY_LEN: usize = 1024;

/// Reads a root certificate, PEM or DER; AWS's where none is named.
pub(super) fn root(path: Option<&Path>) -> Result<TrustRoot, CliError> {
    let Some(path) = path else {
        return Ok(TrustRoot::aws_nitro());
    };
    let bytes = read_bytes(path, MAX_FILE_LEN)?;
    let der = match is_pem(&bytes) {
        true => only_certificate(&bytes),
        false => Ok(bytes),
    };
    der.and_then(|der| TrustRoot::from_der(&der).map_err(|error| error.to_string()))
        .map_err(|why| {
            CliError::usage(
                format!("{} is no root: {why}", path.display()),
                "Name a file with one root certificate, PEM or DER.",
            )
        })
}

/// Two certificates are no clear answer to the question which one is the root.
fn only_certificate(pem: &[u8]) -> Result<Vec<u8>, String> {
    let mut found = CertificateDer::pem_slice_iter(pem);
    match (found.next(), found.next()) {
        (Some(Ok(der)), None) => Ok(der.to_vec()),
        _ => Err("it does not hold exactly one certificate".to_owned()),
    }
}

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(10).any(|window| window == b"-----BEGIN")
}

#[derive(Deserialize)]
struct Listed {
    measurements: Vec<Measurements>,
}

/// Reads the images that are approved: a JSON list, as holders have it, or TOML with
/// `[[measurements]]`, as profiles have it.
pub(super) fn measurements(path: &Path) -> Result<Vec<Measurements>, CliError> {
    let text = read(path)?;
    let is_toml = path
        .extension()
        .is_some_and(|extension| extension == "toml");
    let listed = if is_toml {
        toml::from_str::<Listed>(&text)
            .map(|listed| listed.measurements)
            .map_err(|error| error.message().to_owned())
    } else {
        serde_json::from_str(&text).map_err(|error| error.to_string())
    };
    let wrong = |why: String| {
        CliError::usage(
            format!("{} is no list of measurements: {why}", path.display()),
            "Write a JSON list of objects with pcr0, pcr1 and pcr2 in hexadecimal, or a .toml file \
             with [[measurements]].",
        )
    };
    match listed {
        Ok(listed) if listed.is_empty() => Err(wrong("it is empty".to_owned())),
        listed => listed.map_err(wrong),
    }
}

/// Reads a public key: hexadecimal digits, or else a file.
pub(super) fn public_key(named: &str) -> Result<HexBytes, CliError> {
    let digits = named.strip_prefix("0x").unwrap_or(named);
    if let Ok(key) = hex::decode(digits) {
        return Ok(HexBytes(key));
    }
    let path = Path::new(named);
    let bytes = read_bytes(path, MAX_FILE_LEN)?;
    let key = match is_pem(&bytes) {
        true => SubjectPublicKeyInfoDer::from_pem_slice(&bytes)
            .ok()
            .map(|key| key.to_vec()),
        false => Some(bytes),
    };
    key.filter(|key| (1..=MAX_KEY_LEN).contains(&key.len()))
        .map(HexBytes)
        .ok_or_else(|| {
            CliError::usage(
                format!(
                    "{} is no public key of 1 to {MAX_KEY_LEN} bytes",
                    path.display()
                ),
                "Name a file with the key's bytes as they stand in the document, or PEM of them.",
            )
        })
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64, Encoding as _};

    use super::*;

    fn pem(label: &str, der: &[u8]) -> String {
        let text = Base64::encode_string(der);
        format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")
    }

    #[test]
    fn a_root_is_read_from_pem_and_der_and_is_aws_s_where_none_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("root");
        let aws = TrustRoot::aws_nitro();
        assert_eq!(root(None).unwrap(), aws);
        let one = pem("CERTIFICATE", aws.der());
        for bytes in [
            aws.der(),
            one.as_bytes(),
            format!("a comment\n{one}").as_bytes(),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(root(Some(&path)).unwrap(), aws);
        }
        let key = pem("PUBLIC KEY", b"key");
        for bytes in [
            &b""[..],
            b"\x30\x00",
            one.repeat(2).as_bytes(),
            key.as_bytes(),
        ] {
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(root(Some(&path)).unwrap_err().code, "usage");
        }
    }

    #[test]
    fn measurements_are_a_json_list_or_toml_and_never_none() {
        let dir = tempfile::tempdir().unwrap();
        let image = Measurements::of_image([1; 48], [2; 48], [3; 48]);
        let json = serde_json::to_string(&vec![&image, &image]).unwrap();
        let one = toml::to_string(&image).unwrap();
        let toml = format!("gateway = \"of a profile\"\n[[measurements]]\n{one}");
        for (name, text, count) in [("m.json", &json, Some(2)), ("m.toml", &toml, Some(1))] {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            assert_eq!(measurements(&path).ok().map(|list| list.len()), count);
        }
        for (name, text) in [
            ("m.json", "[]"),
            ("m.json", "{}"),
            ("m.json", toml.as_str()),
            ("m.toml", "measurements = []"),
            ("m.toml", "gateway = \"x\""),
            (
                "m.toml",
                &toml.replace("[[measurements]]", "[[measurement]]"),
            ),
        ] {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            assert_eq!(measurements(&path).unwrap_err().code, "usage", "{text}");
        }
    }

    #[test]
    fn a_public_key_is_hexadecimal_or_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let named = path.to_str().unwrap();
        assert_eq!(public_key("0x00ff").unwrap(), HexBytes(vec![0, 0xff]));
        for (bytes, key) in [
            (b"\x04raw".to_vec(), Some(&b"\x04raw"[..])),
            (pem("PUBLIC KEY", b"spki").into_bytes(), Some(b"spki")),
            (pem("CERTIFICATE", b"other").into_bytes(), None),
            (Vec::new(), None),
            (vec![0; MAX_KEY_LEN], Some(&[0; MAX_KEY_LEN])),
            (vec![0; MAX_KEY_LEN + 1], None),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let read = public_key(named).ok().map(|HexBytes(key)| key);
            assert_eq!(read.as_deref(), key);
        }
        assert!(public_key("nowhere").is_err());
    }
}
