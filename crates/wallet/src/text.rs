//! The short text forms of leaves and signature parts that tools pass on a command line (format
//! section 9.3).

use core::str::FromStr;

use alloy_primitives::{Address, B256, Bytes, hex};

use crate::config::Topology;
use crate::json::HexBytes;
use crate::signature::{EcdsaSignature, SignaturePart};

/// Why a text form was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: {reason}")]
pub struct TextError {
    /// The element that was refused.
    pub text: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// Longest text shown in an error.
const SHOWN: usize = 80;

fn refused(text: &str, reason: &'static str) -> TextError {
    let text = text.chars().take(SHOWN).collect();
    TextError { text, reason }
}

fn address(text: &str) -> Result<Address, &'static str> {
    HexBytes::<20>::from_str(text).map(|bytes| Address::from(bytes.0))
}

fn word(text: &str) -> Result<B256, &'static str> {
    HexBytes::<32>::from_str(text).map(|bytes| B256::from(bytes.0))
}

fn number<T: FromStr>(text: &str) -> Result<T, &'static str> {
    text.parse().map_err(|_| "a number is out of range")
}

/// Reads leaves separated by spaces: `signer:<address>:<weight>`,
/// `sapient:<image hash>:<address>:<weight>`, `subdigest:<hash>`, `any-address-subdigest:<hash>`,
/// `node:<hash>`, `nested:<threshold>:<weight>:(<leaves>)`. A nested list is joined to a balanced
/// tree and holds no further nested one.
///
/// # Errors
/// [`TextError`] with the element that was refused.
pub fn leaves(text: &str) -> Result<Vec<Topology>, TextError> {
    let mut rest = text.trim_start();
    let mut leaves = Vec::new();
    while !rest.is_empty() {
        let end = if rest.starts_with("nested:") {
            rest.find(')').map_or(rest.len(), |at| at + 1)
        } else {
            rest.find(char::is_whitespace).unwrap_or(rest.len())
        };
        let (element, tail) = rest.split_at(end);
        leaves.push(leaf(element).map_err(|reason| refused(element, reason))?);
        rest = tail.trim_start();
    }
    Ok(leaves)
}

fn leaf(text: &str) -> Result<Topology, &'static str> {
    let (kind, rest) = text.split_once(':').ok_or("expected a kind and a colon")?;
    let fields: Vec<&str> = rest.split(':').collect();
    match (kind, fields.as_slice()) {
        ("signer", [signer, weight]) => Ok(Topology::Signer {
            address: address(signer)?,
            weight: number(weight)?,
        }),
        ("sapient", [image_hash, signer, weight]) => Ok(Topology::Sapient {
            image_hash: word(image_hash)?,
            address: address(signer)?,
            weight: number(weight)?,
        }),
        ("subdigest", [digest]) => word(digest).map(Topology::Subdigest),
        ("any-address-subdigest", [digest]) => word(digest).map(Topology::AnyAddressSubdigest),
        ("node", [hash]) => word(hash).map(Topology::Node),
        ("nested", [threshold, weight, ..]) => {
            let inner = rest
                .split_once('(')
                .and_then(|(_, inner)| inner.strip_suffix(')'))
                .ok_or("expected leaves in parentheses")?;
            if inner.contains("nested:") {
                return Err("a nested list holds no other");
            }
            let inner = leaves(inner).map_err(|error| error.reason)?;
            let tree = crate::config::balanced_tree(inner).map_err(|_| "a nested list is empty")?;
            Ok(Topology::Nested {
                tree: Box::new(tree),
                weight: number(weight)?,
                threshold: number(threshold)?,
            })
        }
        _ => Err("unknown kind of leaf, or wrong number of fields"),
    }
}

/// Reads one signature part: `<address>:hash:<r>:<s>:<v>`, `<address>:eth_sign:<r>:<s>:<v>`,
/// `<address>:erc1271:<hex>`, `<address>:sapient:<hex>`, `<address>:sapient_compact:<hex>`.
///
/// # Errors
/// [`TextError`].
pub fn part(text: &str) -> Result<(Address, SignaturePart), TextError> {
    part_of(text).map_err(|reason| refused(text, reason))
}

fn part_of(text: &str) -> Result<(Address, SignaturePart), &'static str> {
    let mut fields = text.splitn(3, ':');
    let (Some(signer), Some(kind), Some(data)) = (fields.next(), fields.next(), fields.next())
    else {
        return Err("expected address, kind and data");
    };
    let key = || EcdsaSignature::from_colon_rsv(data).ok_or("expected r:s:v with a low s");
    let bytes = || {
        let digits = data
            .strip_prefix("0x")
            .ok_or("expected 0x and hex digits")?;
        hex::decode(digits).map(Bytes::from).map_err(|_| "not hex")
    };
    let part = match kind {
        "hash" => SignaturePart::EcdsaHash(key()?),
        "eth_sign" => SignaturePart::EthSign(key()?),
        "erc1271" => SignaturePart::Erc1271(bytes()?),
        "sapient" => SignaturePart::Sapient(bytes()?),
        "sapient_compact" => SignaturePart::SapientCompact(bytes()?),
        _ => return Err("unknown kind of signature"),
    };
    Ok((address(signer)?, part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_are_read() {
        let (a, h) = (
            format!("0x{}", "11".repeat(20)),
            format!("0x{}", "ab".repeat(32)),
        );
        let text = format!(
            "signer:{a}:1 sapient:{h}:{a}:2  subdigest:{h} any-address-subdigest:{h} node:{h} \
             nested:300:7:(signer:{a}:3 node:{h})"
        );
        let read = leaves(&text).unwrap();
        let address = Address::repeat_byte(0x11);
        let hash = B256::repeat_byte(0xab);
        assert_eq!(read.len(), 6);
        assert_eq!(read[0], Topology::Signer { address, weight: 1 });
        let sapient = Topology::Sapient {
            address,
            weight: 2,
            image_hash: hash,
        };
        assert_eq!(read[1], sapient);
        let inner = Topology::branch(
            Topology::Signer { address, weight: 3 },
            Topology::Node(hash),
        );
        let nested = Topology::Nested {
            tree: Box::new(inner),
            weight: 7,
            threshold: 300,
        };
        assert_eq!(read[5], nested);
        assert_eq!(leaves(" "), Ok(Vec::new()));
    }

    #[test]
    fn leaves_with_a_defect_are_refused() {
        let a = format!("0x{}", "11".repeat(20));
        for bad in [
            "signer",
            &format!("signer:{a}"),
            &format!("signer:{a}:256"),
            &format!("signer:{a}:1:2"),
            "signer:0x11:1",
            "nested:1:1:()",
            "nested:1:1:(",
            &format!("nested:1:1:(nested:1:1:(signer:{a}:1))"),
            "other:1",
        ] {
            assert!(leaves(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn parts_with_a_defect_are_refused() {
        let a = format!("0x{}", "11".repeat(20));
        let w = format!("0x{}01", "00".repeat(31));
        assert!(part(&format!("{a}:hash:{w}:{w}:27")).is_ok());
        assert!(part(&format!("{a}:sapient:0x")).is_ok());
        for bad in [
            format!("{a}:hash:{w}:{w}:26"),
            format!("{a}:hash:{w}:{w}"),
            format!("{a}:hash:{w}:0x{}:27", "ff".repeat(32)),
            format!("{a}:other:0x"),
            format!("{a}:erc1271:00"),
            format!("{a}:erc1271:0x0"),
            "0x:hash".into(),
            String::new(),
        ] {
            assert!(part(&bad).is_err(), "{bad}");
        }
    }
}
