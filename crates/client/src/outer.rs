//! Requests outside the sealed channel: public things, each verified or distrusted by its caller.

use keyfold_protocol::ids::RequestId;
use keyfold_protocol::relayer_api::IDEMPOTENCY_HEADER;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::environment::{Method, OuterRequest, OuterResponse, Transport};
use crate::error::{ClientError, Problem};

const JSON: &str = "application/json";
/// Most bytes of a JSON answer of the gateway: a realm record of 32 holders, a document.
const MAX_JSON: usize = 256 * 1024;

/// Asks for JSON.
pub(crate) async fn get<R: DeserializeOwned>(
    transport: &impl Transport,
    path: String,
    what: &'static str,
) -> Result<R, ClientError> {
    let request = OuterRequest {
        method: Method::Get,
        path,
        headers: Vec::new(),
        with_cookies: false,
        content_type: None,
        body: Vec::new(),
        max_response: MAX_JSON,
    };
    read(transport.send(request).await?, what)
}

/// Sends JSON and asks for JSON.
pub(crate) async fn post<R: DeserializeOwned>(
    transport: &impl Transport,
    path: String,
    body: &impl Serialize,
    idempotency: Option<RequestId>,
    what: &'static str,
) -> Result<R, ClientError> {
    let request = OuterRequest {
        method: Method::Post,
        path,
        headers: idempotency
            .map(|id| (IDEMPOTENCY_HEADER, id.to_string()))
            .into_iter()
            .collect(),
        with_cookies: false,
        content_type: Some(JSON),
        body: serde_json::to_vec(body).map_err(|_| ClientError::Unsendable(what))?,
        max_response: MAX_JSON,
    };
    read(transport.send(request).await?, what)
}

fn read<R: DeserializeOwned>(
    response: OuterResponse,
    what: &'static str,
) -> Result<R, ClientError> {
    if !(200..300).contains(&response.status) {
        return Err(ClientError::Gateway(Problem::read(
            response.status,
            &response.body,
        )));
    }
    if response.body.len() > MAX_JSON {
        return Err(ClientError::UnexpectedReply(what));
    }
    serde_json::from_slice(&response.body).map_err(|_| ClientError::UnexpectedReply(what))
}
