//! The JSON forms of session trees and call signatures (format section 9.3).

use core::fmt;
use core::str::FromStr;

use alloy_primitives::{Address, B256, Bytes, FixedBytes};
use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{
    Attestation, Permission, SessionPermissions, SessionTopology, SignedAttestation, SignedCall,
};
use crate::EcdsaSignature;
use crate::json::{self, Decimal, HexBytes};

impl Serialize for SessionTopology {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Session(session) => session.serialize(serializer),
            Self::Node(hash) => serializer.collect_str(hash),
            Self::Branch(children) => {
                let mut list = serializer.serialize_seq(Some(children.len()))?;
                for child in children {
                    list.serialize_element(child)?;
                }
                list.end()
            }
            Self::Blacklist(addresses) => {
                let texts: Vec<String> = addresses.iter().map(Address::to_string).collect();
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("type", "implicit-blacklist")?;
                map.serialize_entry("blacklist", &texts)?;
                map.end()
            }
            Self::IdentitySigner(address) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("type", "identity-signer")?;
                map.serialize_entry("identitySigner", &address.to_string())?;
                map.end()
            }
        }
    }
}

/// Every field any leaf can have; `into_topology` decides whether they fit the type. A session
/// may leave its type out, as the package does.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LeafFields {
    r#type: Option<String>,
    blacklist: Option<Vec<HexBytes<20>>>,
    identity_signer: Option<HexBytes<20>>,
    signer: Option<HexBytes<20>>,
    chain_id: Option<Decimal<u64>>,
    value_limit: Option<Decimal<alloy_primitives::U256>>,
    deadline: Option<Decimal<u64>>,
    permissions: Option<Vec<Permission>>,
}

impl LeafFields {
    fn into_topology(self) -> Result<SessionTopology, &'static str> {
        let session = (
            self.signer,
            self.chain_id,
            self.value_limit,
            self.deadline,
            self.permissions,
        );
        match (
            self.r#type.as_deref(),
            self.blacklist,
            self.identity_signer,
            session,
        ) {
            (Some("implicit-blacklist"), Some(list), None, (None, None, None, None, None)) => {
                Ok(SessionTopology::Blacklist(
                    list.into_iter()
                        .map(|bytes| Address::from(bytes.0))
                        .collect(),
                ))
            }
            (Some("identity-signer"), None, Some(address), (None, None, None, None, None)) => {
                Ok(SessionTopology::IdentitySigner(Address::from(address.0)))
            }
            (
                None | Some("session-permissions"),
                None,
                None,
                (
                    Some(signer),
                    Some(chain_id),
                    Some(value_limit),
                    Some(deadline),
                    Some(permissions),
                ),
            ) => Ok(SessionTopology::Session(SessionPermissions {
                signer: Address::from(signer.0),
                chain_id: chain_id.0,
                value_limit: value_limit.0,
                deadline: deadline.0,
                permissions,
            })),
            _ => Err("unknown leaf type, or fields that do not belong to it"),
        }
    }
}

struct TopologyVisitor;

impl<'de> Visitor<'de> for TopologyVisitor {
    type Value = SessionTopology;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of subtrees, a node hash or a leaf object")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<SessionTopology, E> {
        let node: HexBytes<32> = text.parse().map_err(E::custom)?;
        Ok(SessionTopology::Node(B256::from(node.0)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<SessionTopology, A::Error> {
        let mut children = Vec::new();
        while let Some(child) = list.next_element()? {
            children.push(child);
        }
        if children.len() < 2 {
            return Err(de::Error::invalid_length(
                children.len(),
                &"two subtrees or more",
            ));
        }
        Ok(SessionTopology::Branch(children))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SessionTopology, A::Error> {
        LeafFields::deserialize(de::value::MapAccessDeserializer::new(map))?
            .into_topology()
            .map_err(de::Error::custom)
    }
}

impl<'de> Deserialize<'de> for SessionTopology {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TopologyVisitor)
    }
}

/// The JSON form of an attestation.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AttestationFields {
    #[serde(with = "json::address")]
    approved_signer: Address,
    #[serde(with = "json::bytes")]
    identity_type: Bytes,
    #[serde(with = "json::word")]
    issuer_hash: B256,
    #[serde(with = "json::word")]
    audience_hash: B256,
    #[serde(with = "json::bytes")]
    application_data: Bytes,
    auth_data: AuthData,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AuthData {
    redirect_url: String,
    #[serde(with = "json::decimal")]
    issued_at: u64,
}

impl Serialize for Attestation {
    /// Fails for a redirect URL that is not UTF-8.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let redirect_url = String::from_utf8(self.redirect_url.to_vec())
            .map_err(|_| serde::ser::Error::custom("the redirect URL is not UTF-8"))?;
        AttestationFields {
            approved_signer: self.approved_signer,
            identity_type: Bytes::copy_from_slice(self.identity_type.as_slice()),
            issuer_hash: self.issuer_hash,
            audience_hash: self.audience_hash,
            application_data: self.application_data.clone(),
            auth_data: AuthData {
                redirect_url,
                issued_at: self.issued_at,
            },
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Attestation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = AttestationFields::deserialize(deserializer)?;
        let identity_type = FixedBytes::<4>::try_from(fields.identity_type.as_ref())
            .map_err(|_| de::Error::custom("an identity type has four bytes"))?;
        Ok(Self {
            approved_signer: fields.approved_signer,
            identity_type,
            issuer_hash: fields.issuer_hash,
            audience_hash: fields.audience_hash,
            application_data: fields.application_data,
            redirect_url: fields.auth_data.redirect_url.into_bytes().into(),
            issued_at: fields.auth_data.issued_at,
        })
    }
}

/// A signature written as `r:s:v`, hex words and a decimal 27 or 28.
struct Rsv(EcdsaSignature);

impl FromStr for Rsv {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        EcdsaSignature::from_colon_rsv(text)
            .map(Self)
            .ok_or("expected a signature r:s:v in range, with a low s")
    }
}

impl<'de> Deserialize<'de> for Rsv {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Rsv {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let v = 27 + u8::from(self.0.y_parity());
        serializer.collect_str(&format_args!("{}:{}:{v}", self.0.r(), self.0.s()))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SignedCallFields {
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation: Option<Attestation>,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity_signature: Option<Rsv>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permission_index: Option<PermissionIndex>,
    session_signature: Rsv,
}

#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct PermissionIndex(#[serde(with = "json::decimal")] u8);

impl Serialize for SignedCall {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Explicit {
                permission,
                signature,
            } => SignedCallFields {
                attestation: None,
                identity_signature: None,
                permission_index: Some(PermissionIndex(*permission)),
                session_signature: Rsv(*signature),
            },
            Self::Implicit {
                attestation,
                signature,
            } => SignedCallFields {
                attestation: Some(attestation.attestation.clone()),
                identity_signature: Some(Rsv(attestation.signature)),
                permission_index: None,
                session_signature: Rsv(*signature),
            },
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SignedCall {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = SignedCallFields::deserialize(deserializer)?;
        let signature = fields.session_signature.0;
        match (
            fields.attestation,
            fields.identity_signature,
            fields.permission_index,
        ) {
            (None, None, Some(index)) => Ok(Self::Explicit {
                permission: index.0,
                signature,
            }),
            (Some(attestation), Some(by), None) => Ok(Self::Implicit {
                attestation: Box::new(SignedAttestation {
                    attestation,
                    signature: by.0,
                }),
                signature,
            }),
            _ => Err(de::Error::custom(
                "a call is signed by permission index, or by attestation and identity signature",
            )),
        }
    }
}
