//! The description of the public API, generated from the handlers and the messages.

use std::sync::OnceLock;

use bytes::Bytes;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type};
use utoipa::{OpenApi, PartialSchema, ToSchema};

use crate::api::{discovery, instances, realm, relay, trees};

/// Where the description is served.
pub const PATH: &str = "/v1/openapi.json";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Keyfold gateway",
        description = "What clients ask of a gateway. It is trusted with no secret: realm record, \
            attestation documents and sealed answers are verified by the client.\n\n\
            Every error is a problem document (RFC 9457) with a stable `code` and the id of the \
            request, which is also in the header `x-request-id`. Where waiting helps, `retry-after` \
            says how long. Requests are limited per client address.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        realm::realm,
        instances::jwks,
        discovery::discovery,
        instances::instances,
        instances::attestation,
        instances::ohttp,
        relay::submit,
        relay::transaction,
        relay::wallet,
        trees::tree,
    ),
    tags(
        (name = "realm", description = "Who holds the keys, and with what keys they speak."),
        (name = "instances", description = "The enclaves, and the sealed channel to them."),
        (name = "transactions", description = "Sending signed calls to a chain."),
        (name = "trees", description = "What the roots of wallets' configurations stand for."),
    ),
)]
struct Description;

/// Bytes that only a client and an enclave can read.
pub(crate) struct Sealed;

impl PartialSchema for Sealed {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Binary)))
            .description(Some("Bytes that only the client and the enclave can read."))
            .into()
    }
}

impl ToSchema for Sealed {}

/// Returns the description as JSON, the same bytes for the same release.
pub fn json() -> Bytes {
    static JSON: OnceLock<Bytes> = OnceLock::new();
    JSON.get_or_init(|| {
        // Maps and strings always serialise.
        let mut json = Description::openapi().to_pretty_json().unwrap_or_default();
        json.push('\n');
        json.into()
    })
    .clone()
}
