//! The conformance oracle over HTTP: `POST /rpc`, everything else is 404 (see
//! [`keyfold_wallet::oracle`]).

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{HeaderValue, Method, Request, StatusCode, header};
use keyfold_net::{BodyError, HttpLimits, Server, Shutdown, harden, read_body};
use keyfold_wallet::oracle;
use serde_json::json;
use tokio::net::TcpListener;

use crate::args::Rpc;
use crate::error::CliError;
use crate::output::{Output, Report};

/// Bytes of one request: a batch of a few thousand calls.
const MAX_BODY: usize = 32 * 1024 * 1024;
/// For a whole batch.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

pub(crate) async fn run(arguments: Rpc, output: Output) -> Result<Report, CliError> {
    let Rpc { listen, anywhere } = arguments;
    if !listen.ip().is_loopback() && !anywhere {
        return Err(CliError::usage(
            format!("{listen} can be reached by other machines"),
            "Listen on 127.0.0.1, or add --anywhere.",
        ));
    }
    let failed = |error: std::io::Error| {
        CliError::usage(
            format!("cannot listen on {listen}: {error}"),
            "Choose another address with --listen.",
        )
    };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let at: SocketAddr = listener.local_addr().map_err(failed)?;
    let shutdown = Shutdown::on_signals().map_err(failed)?;
    output.say(&format!("Listening on http://{at}/rpc."));
    serve(listener, shutdown).await;
    Ok(Report::new("", json!({ "ended": true })))
}

async fn serve(listener: TcpListener, shutdown: Shutdown) {
    let limits = HttpLimits {
        max_body_bytes: MAX_BODY,
        request_timeout: REQUEST_TIMEOUT,
        ..HttpLimits::default()
    };
    let router = harden(Router::new().fallback(handle), limits);
    Server::new(router).plain(listener, shutdown).await;
}

async fn handle(request: Request<Body>) -> Response {
    if request.method() != Method::POST || request.uri().path() != "/rpc" {
        return plain(StatusCode::NOT_FOUND);
    }
    let body = match read_body(request.into_body(), MAX_BODY).await {
        Ok(body) => body,
        Err(BodyError::TooLarge) => return plain(StatusCode::PAYLOAD_TOO_LARGE),
        Err(BodyError::Broken) => return plain(StatusCode::BAD_REQUEST),
    };
    // A large batch takes a while; others are answered meanwhile.
    let answered = tokio::task::spawn_blocking(move || oracle::answer(&body, &mut entropy)).await;
    let Ok(oracle::Reply { status, body }) = answered else {
        return plain(StatusCode::INTERNAL_SERVER_ERROR);
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// An answer whose words the layers around it write.
fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Nothing secret depends on it: without the system's randomness, trees repeat.
fn entropy() -> [u8; 32] {
    let mut bytes = [0; 32];
    let _ = getrandom::fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use keyfold_net::client::TcpConnector;
    use keyfold_net::{ClientLimits, HttpClient};
    use serde_json::Value;

    use super::*;
    use crate::error::Exit;

    async fn started() -> (keyfold_net::ShutdownTrigger, String, HttpClient) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        let (trigger, shutdown) = Shutdown::manual();
        tokio::spawn(serve(listener, shutdown));
        let client = HttpClient::new(TcpConnector, ClientLimits::default());
        (trigger, authority, client)
    }

    #[tokio::test]
    async fn only_a_post_to_rpc_is_answered() {
        let (_trigger, authority, client) = started().await;
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"devTools_randomConfig","params":{}}"#;
        for (method, path, body, status) in [
            (Method::POST, "/rpc", call, StatusCode::OK),
            (Method::POST, "/rpc", "{", StatusCode::BAD_REQUEST),
            (Method::GET, "/rpc", "", StatusCode::NOT_FOUND),
            (Method::POST, "/", call, StatusCode::NOT_FOUND),
            (Method::POST, "/rpc/", call, StatusCode::NOT_FOUND),
        ] {
            let request = Request::builder()
                .method(&method)
                .uri(format!("http://{authority}{path}"))
                .body(Bytes::from_static(body.as_bytes()))
                .unwrap();
            let answer = client.send(request).await.unwrap();
            assert_eq!(answer.status(), status, "{method} {path} {body}");
            if status != StatusCode::NOT_FOUND {
                let reply: Value = serde_json::from_slice(answer.body()).unwrap();
                assert_eq!(reply["jsonrpc"], "2.0");
                assert_eq!(reply["result"].is_string(), status == StatusCode::OK);
            }
        }
    }

    #[tokio::test]
    async fn other_machines_are_kept_out_unless_somebody_says_so() {
        let arguments = Rpc {
            listen: "0.0.0.0:0".parse().unwrap(),
            anywhere: false,
        };
        let error = run(arguments, Output::new(true)).await.unwrap_err();
        assert_eq!(error.exit, Exit::Usage);
        assert!(error.what_to_do.contains("--anywhere"));
    }
}
