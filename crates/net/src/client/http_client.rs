//! The client itself: connect or reuse, send, read within limits, keep.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use crate::client::pool::{Pool, Sender};
use crate::client::{ClientError, ClientLimits, Connector};

const MAX_HEAD_BYTES: usize = 64 * 1024;

/// An HTTP client. Clones share the pool.
#[derive(Clone)]
pub struct HttpClient {
    connector: Arc<dyn Connector>,
    pool: Arc<Pool>,
    limits: ClientLimits,
}

impl HttpClient {
    /// Makes a client over a connector.
    pub fn new(connector: impl Connector, limits: ClientLimits) -> Self {
        let pool = Arc::new(Pool::new(limits.max_idle, limits.idle_timeout));
        Self {
            connector: Arc::new(connector),
            pool,
            limits,
        }
    }

    /// Sends a request and reads the whole answer, whatever its status.
    ///
    /// The URI must be absolute; its scheme is not looked at, the connector decides. `Host` is set
    /// from it.
    ///
    /// A request goes out twice in one case: a kept connection turns out to be closed before any of
    /// the request was written to it.
    ///
    /// # Errors
    ///
    /// [`ClientError`]; its [`ClientError::may_have_been_sent`] tells whether the other side may
    /// have acted.
    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, ClientError> {
        let (authority, request) = prepare(request)?;
        let name = authority.to_string();
        let exchange = self.exchange(authority, request);
        match tokio::time::timeout(self.limits.request_timeout, exchange).await {
            Ok(answer) => answer,
            Err(_elapsed) => Err(ClientError::Timeout { authority: name }),
        }
    }

    async fn exchange(
        &self,
        authority: Authority,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Bytes>, ClientError> {
        while let Some(mut sender) = self.pool.take(&authority) {
            if sender.ready().await.is_err() {
                continue;
            }
            match sender.try_send_request(request).await {
                Ok(response) => return self.finish(authority, sender, response).await,
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err(broken(&authority, error.into_error())),
                },
            }
        }
        let mut sender = self.connect(&authority).await?;
        match sender.send_request(request).await {
            Ok(response) => self.finish(authority, sender, response).await,
            Err(error) => Err(broken(&authority, error)),
        }
    }

    async fn connect(&self, authority: &Authority) -> Result<Sender, ClientError> {
        let connecting = self.connector.connect(authority);
        let stream = tokio::time::timeout(self.limits.connect_timeout, connecting)
            .await
            .map_err(|_| ClientError::ConnectTimeout {
                authority: authority.to_string(),
            })?
            .map_err(|source| ClientError::Connect {
                authority: authority.to_string(),
                source,
            })?;
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(MAX_HEAD_BYTES)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(authority, error))?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a client connection ended with an error");
            }
        });
        Ok(sender)
    }

    async fn finish(
        &self,
        authority: Authority,
        sender: Sender,
        response: Response<Incoming>,
    ) -> Result<Response<Bytes>, ClientError> {
        let (head, body) = response.into_parts();
        let body = Limited::new(body, self.limits.max_response_bytes)
            .collect()
            .await;
        match body {
            Ok(body) => {
                self.pool.put(authority, sender);
                Ok(Response::from_parts(head, body.to_bytes()))
            }
            Err(error) if error.is::<LengthLimitError>() => Err(ClientError::ResponseTooLarge {
                authority: authority.to_string(),
            }),
            Err(source) => Err(ClientError::Exchange {
                authority: authority.to_string(),
                source,
            }),
        }
    }
}

impl std::fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpClient")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

fn broken(authority: &Authority, error: hyper::Error) -> ClientError {
    ClientError::Exchange {
        authority: authority.to_string(),
        source: Box::new(error),
    }
}

/// Splits the authority off and leaves what HTTP/1.1 writes.
fn prepare(request: Request<Bytes>) -> Result<(Authority, Request<Full<Bytes>>), ClientError> {
    let (mut head, body) = request.into_parts();
    let uri = head.uri.into_parts();
    let authority = uri
        .authority
        .ok_or(ClientError::Request("the URI has no authority"))?;
    if authority.as_str().contains('@') {
        return Err(ClientError::Request("the URI has a user name"));
    }
    let host = HeaderValue::from_str(authority.as_str())
        .map_err(|_| ClientError::Request("the host cannot be in a header"))?;
    head.headers.insert(HOST, host);
    head.uri = Uri::from(uri.path_and_query.unwrap_or(PathAndQuery::from_static("/")));
    head.version = http::Version::HTTP_11;
    Ok((authority, Request::from_parts(head, Full::new(body))))
}
