//! Mail by SMTP over TLS that begins in the enclave (RFC 5321): at once (RFC 8314 section 3.3), or
//! after the server agreed to begin (STARTTLS, RFC 3207).

mod starttls;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::Authority;
use keyfold_enclave::{ComposedMail, MailError};
use keyfold_net::client::{BoxIo, Connector as _};
use keyfold_net::pipe::{dial_through, poll_read_at_most};
use keyfold_protocol::client_api::{MailSecurity, MailSettings};
use lettre::address::Envelope;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{AsyncSmtpConnection, AsyncTokioStream};
use lettre::transport::smtp::extension::ClientId;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::Zeroizing;

use crate::machine::Outbound;
use crate::roots;

const TIMEOUT: Duration = Duration::from_secs(20);
/// Most bytes that a server may say in one exchange. The library looks at the length of a line only
/// once it has ended, and a project chooses its server.
const MAX_REPLIES: u64 = 64 * 1024;

/// What the library hears first where the server has said its greeting in the clear.
const GREETED: &[u8] = b"220 said before\r\n";

/// Sends one mail through a project's server.
///
/// # Security
///
/// The server must show a certificate for its name under the project's roots, or the public ones:
/// the host cannot put a server of its own there. What went wrong is logged without the mail.
pub(crate) async fn send(
    outbound: &Outbound,
    settings: &MailSettings,
    mail: &ComposedMail,
) -> Result<(), MailError> {
    match tokio::time::timeout(TIMEOUT, exchange(outbound, settings, mail)).await {
        Ok(result) => result,
        Err(_elapsed) => Err(MailError::Unreachable),
    }
}

async fn exchange(
    outbound: &Outbound,
    settings: &MailSettings,
    mail: &ComposedMail,
) -> Result<(), MailError> {
    let envelope = envelope(mail).ok_or(MailError::Settings)?;
    let login = login(settings)?;
    let tls = roots::client_config(settings.roots_pem.as_deref());
    let tls = TlsConnector::from(tls.map_err(|_| MailError::Settings)?);
    let name = ServerName::try_from(settings.host.clone()).map_err(|_| MailError::Settings)?;
    let pipe = outbound
        .connect(&Authority::from_static("egress"))
        .await
        .map_err(|_| MailError::Unreachable)?;
    let mut pipe = dial_through(pipe, &settings.host, settings.port)
        .await
        .map_err(|_| MailError::Unreachable)?;
    let greeting: &[u8] = match settings.security {
        MailSecurity::ImplicitTls => b"",
        MailSecurity::Starttls => {
            starttls::begin(&mut pipe).await?;
            GREETED
        }
    };
    let stream = tls.connect(name, pipe).await.map_err(|error| {
        let certificate = error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .is_some_and(|inner| matches!(inner, rustls::Error::InvalidCertificate(_)));
        if certificate {
            MailError::Untrusted
        } else {
            MailError::Unreachable
        }
    })?;
    let hello = ClientId::Domain(mail.from().domain().to_owned());
    let mut smtp = AsyncSmtpConnection::connect_with_transport(
        Box::new(Mailed::new(greeting, stream)),
        &hello,
    )
    .await
    .map_err(|_| MailError::Unreachable)?;
    if let Some((username, password)) = login {
        // The library takes the strings over, copies them into its commands and wipes none of it;
        // all are freed before the mail itself is sent.
        let credentials = Credentials::new(username.to_owned(), password.to_owned());
        smtp.auth(&[Mechanism::Plain, Mechanism::Login], &credentials)
            .await
            .map_err(|_| MailError::Refused)?;
    }
    // Wiped also where the time runs out in the middle.
    let message = Zeroizing::new(mail.message().expose(<[u8]>::to_vec));
    let sent = smtp.send(&envelope, &message).await;
    sent.map_err(|error| {
        if error.is_permanent() || error.is_transient() {
            MailError::Refused
        } else {
            MailError::Unreachable
        }
    })?;
    let _ = smtp.quit().await;
    Ok(())
}

/// Returns user name and password: both, or neither. With one of them alone mail would be sent
/// without either, and a server that takes it would hide the mistake.
fn login(settings: &MailSettings) -> Result<Option<(&str, &str)>, MailError> {
    match (&settings.username, &settings.password) {
        (Some(username), Some(password)) => Ok(Some((username, password))),
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(MailError::Settings),
    }
}

fn envelope(mail: &ComposedMail) -> Option<Envelope> {
    let address = |text: &str| text.parse::<lettre::Address>().ok();
    Envelope::new(
        Some(address(mail.from().as_str())?),
        vec![address(mail.to().as_str())?],
    )
    .ok()
}

/// The encrypted stream, as the library wants it, and no more of it than [`MAX_REPLIES`].
struct Mailed<S> {
    /// Heard before anything from the stream.
    first: &'static [u8],
    stream: S,
    left: u64,
}

impl<S> Mailed<S> {
    fn new(first: &'static [u8], stream: S) -> Self {
        Self {
            first,
            stream,
            left: MAX_REPLIES,
        }
    }
}

impl<S> fmt::Debug for Mailed<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mailed").finish_non_exhaustive()
    }
}

impl AsyncTokioStream for Mailed<TlsStream<BoxIo>> {
    /// A pipe has no address; the library only shows it.
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok((Ipv4Addr::UNSPECIFIED, 0).into())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Mailed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self {
            first,
            stream,
            left,
        } = &mut *self;
        if !first.is_empty() {
            let (now, later) = first.split_at(first.len().min(buf.remaining()));
            buf.put_slice(now);
            *first = later;
            return Poll::Ready(Ok(()));
        }
        poll_read_at_most(Pin::new(stream), cx, buf, left)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Mailed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
