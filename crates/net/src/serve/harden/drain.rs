//! Reading what a handler left unread, so that its answer arrives.
//!
//! Many clients write all of a request before they look for an answer. Where a server answers and
//! closes while something is still being written, TCP throws the answer away: the client sees a
//! broken connection instead of the reason. So what a refused request still has to say is read and
//! forgotten first, within bounds.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::header::EXPECT;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::sync::oneshot;

/// Most bytes that are read only to be forgotten; who sends more sees the connection break.
const MAX_DRAINED: usize = 16 * 1024 * 1024;
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs the request, then reads what is left of its body, then answers.
pub(super) async fn drained(request: Request, next: Next) -> Response {
    // Who asks before writing does not write once it is refused.
    if request.headers().contains_key(EXPECT) {
        return next.run(request).await;
    }
    let (give_back, mut given_back) = oneshot::channel();
    let lent = |body| {
        Body::new(Lent {
            body: Some(body),
            give_back: Some(give_back),
        })
    };
    let response = next.run(request.map(lent)).await;
    if let Ok(rest) = given_back.try_recv() {
        // Whether it ended, broke or took too long, there is nothing more to do for its sender.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, forget(rest)).await;
    }
    response
}

async fn forget(mut body: Body) {
    let mut read = 0_usize;
    while let Some(Ok(frame)) = body.frame().await {
        read = read.saturating_add(frame.data_ref().map_or(0, Bytes::len));
        if read > MAX_DRAINED {
            return;
        }
    }
}

/// A body that comes back when it is dropped before its end.
struct Lent {
    body: Option<Body>,
    give_back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = self.body.as_mut() else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(SizeHint::new, HttpBody::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(give_back)) = (self.body.take(), self.give_back.take())
            && !body.is_end_stream()
        {
            // Nobody waits any more where the connection is gone.
            let _ = give_back.send(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::post;
    use http::StatusCode;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use crate::client::{BoxIo, Connector as _, TcpConnector, TlsConnector};
    use crate::tls::{ServerTls, client_config_pinned};
    use crate::{HttpLimits, Server, Shutdown, harden};

    const LIMIT: usize = 200 * 1024;

    /// Serves, and connects a client.
    async fn connected(router: Router) -> BoxIo {
        let dir = tempfile::tempdir().unwrap();
        let tls = ServerTls::from_pem_or_generate(dir.path(), &["localhost".to_owned()]).unwrap();
        let limits = HttpLimits {
            max_body_bytes: LIMIT,
            ..HttpLimits::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (trigger, shutdown) = Shutdown::manual();
        let server = Server::new(harden(router, limits));
        let config = tls.config();
        tokio::spawn(async move {
            server.tls(listener, config, shutdown).await;
            drop(trigger);
        });
        let config = client_config_pinned(tls.pin()).unwrap();
        let connector = TlsConnector::new(TcpConnector, config);
        connector.connect(&address.parse().unwrap()).await.unwrap()
    }

    /// As many clients do: writes everything, then reads the head of the answer and its body.
    async fn ask(connection: &mut BoxIo, bytes: usize) -> std::io::Result<String> {
        let head = format!("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {bytes}\r\n\r\n");
        connection.write_all(head.as_bytes()).await?;
        connection.write_all(&vec![b'x'; bytes]).await?;
        connection.flush().await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            answer.push(connection.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&answer).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        connection.read_exact(&mut body).await?;
        Ok(head.lines().next().unwrap_or_default().to_owned())
    }

    #[tokio::test]
    async fn who_writes_ten_megabytes_before_reading_gets_an_answer_and_not_a_broken_connection() {
        let read = async |body: bytes::Bytes| body.len().to_string();
        let mut connection = connected(Router::new().route("/", post(read))).await;
        let answer = ask(&mut connection, 10 * 1024 * 1024).await.unwrap();
        assert_eq!(answer, "http/1.1 413 payload too large");
        // The next good request works, on the same connection.
        assert_eq!(
            ask(&mut connection, LIMIT).await.unwrap(),
            "http/1.1 200 ok"
        );
    }

    #[tokio::test]
    async fn a_refusal_before_the_body_is_read_leaves_the_connection_usable() {
        let refuse = async || StatusCode::UNAUTHORIZED;
        let mut connection = connected(Router::new().route("/", post(refuse))).await;
        for _ in 0..5 {
            let answer = ask(&mut connection, LIMIT).await.unwrap();
            assert_eq!(answer, "http/1.1 401 unauthorized");
        }
    }

    #[tokio::test]
    async fn more_than_is_drained_breaks_the_connection() {
        let read = async |body: bytes::Bytes| body.len().to_string();
        let mut connection = connected(Router::new().route("/", post(read))).await;
        let answer = ask(&mut connection, 4 * super::MAX_DRAINED).await;
        assert!(answer.is_err(), "{answer:?}");
    }
}
