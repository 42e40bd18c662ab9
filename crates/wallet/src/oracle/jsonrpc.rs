//! JSON-RPC 2.0 around [`super::call`], single and batch (format section 9.2).

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{Entropy, OracleError, call};

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const FAILED: i32 = -32000;

/// What a server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status: 400 where the body is not JSON, 200 else.
    pub status: u16,
    /// JSON.
    pub body: String,
}

#[derive(Deserialize)]
struct Request<'a> {
    jsonrpc: Option<Value>,
    #[serde(default)]
    id: Value,
    method: Option<String>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// Answers the body of a POST.
///
/// Every request of a batch gets an answer, in order, those without an id too, as the package's
/// server does it.
#[must_use]
pub fn answer(body: &[u8], entropy: Entropy<'_>) -> Reply {
    let Ok(whole) = serde_json::from_slice::<&RawValue>(body) else {
        return Reply {
            status: 400,
            body: error(&Value::Null, PARSE_ERROR, "Parse error"),
        };
    };
    let body = match serde_json::from_str::<Vec<&RawValue>>(whole.get()) {
        Ok(batch) if !batch.is_empty() => {
            let answers: Vec<String> = batch.iter().map(|one| single(one, entropy)).collect();
            format!("[{}]", answers.join(","))
        }
        _ => single(whole, entropy),
    };
    Reply { status: 200, body }
}

fn single(request: &RawValue, entropy: Entropy<'_>) -> String {
    let Ok(request) = serde_json::from_str::<Request<'_>>(request.get()) else {
        return error(&Value::Null, INVALID_REQUEST, "Invalid Request");
    };
    let id = &request.id;
    let version = request.jsonrpc.as_ref().and_then(Value::as_str);
    let (Some("2.0"), Some(method)) = (version, &request.method) else {
        return error(id, INVALID_REQUEST, "Invalid Request");
    };
    let params = request.params.map_or("{}", RawValue::get);
    match call(method, params, entropy) {
        Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string(),
        Err(reason @ OracleError::UnknownMethod(_)) => {
            error(id, METHOD_NOT_FOUND, &reason.to_string())
        }
        Err(reason) => error(id, FAILED, &reason.to_string()),
    }
}

fn error(id: &Value, code: i32, message: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }).to_string()
}
