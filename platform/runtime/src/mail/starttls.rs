//! What is said in the clear before TLS begins: EHLO, STARTTLS, and nothing of a mail (RFC 3207).

use std::io;

use keyfold_enclave::MailError;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Most bytes of a reply in the clear, all its lines together.
const MAX_REPLY: usize = 4 * 1024;
/// Our name before anybody can be sure who listens: none of the project's.
const HELLO: &[u8] = b"EHLO [127.0.0.1]\r\n";

/// Asks a server to begin with TLS; what comes next from it is its handshake.
///
/// # Errors
///
/// [`MailError::NoStarttls`] where the server does not offer it, [`MailError::Unreachable`] where it
/// says something else than SMTP.
///
/// # Security
///
/// Anybody on the way can answer here. Nothing that is said is kept: offers and greeting are asked
/// for again inside. Each reply is read to its end and not one byte further, so that whatever
/// somebody puts behind the last one is read as TLS, which it is not.
pub(super) async fn begin(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> Result<(), MailError> {
    let greeting = reply(stream).await?;
    if greeting.code != *b"220" {
        return Err(MailError::Unreachable);
    }
    say(stream, HELLO).await?;
    let offers = reply(stream).await?;
    if offers.code != *b"250"
        || !offers
            .lines
            .iter()
            .any(|line| line.eq_ignore_ascii_case(b"STARTTLS"))
    {
        return Err(MailError::NoStarttls);
    }
    say(stream, b"STARTTLS\r\n").await?;
    match reply(stream).await?.code {
        code if code == *b"220" => Ok(()),
        _ => Err(MailError::NoStarttls),
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), line: &[u8]) -> Result<(), MailError> {
    let said = async {
        stream.write_all(line).await?;
        stream.flush().await
    };
    said.await.map_err(|_| MailError::Unreachable)
}

/// A reply: its code, and what stands behind the code in each line.
struct Reply {
    code: [u8; 3],
    lines: Vec<Vec<u8>>,
}

async fn reply(stream: &mut (impl AsyncRead + Unpin)) -> Result<Reply, MailError> {
    read_reply(stream).await.map_err(|_| MailError::Unreachable)
}

/// Reads a reply, byte by byte: RFC 5321 section 4.2.1.
async fn read_reply(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Reply> {
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let mut left = MAX_REPLY;
    let (mut lines, mut common) = (Vec::new(), None);
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            left = left.checked_sub(1).ok_or_else(malformed)?;
            line.push(stream.read_u8().await?);
        }
        let line = line.strip_suffix(b"\r\n").unwrap_or_default();
        let (code, rest) = line.split_first_chunk::<3>().ok_or_else(malformed)?;
        if !code.iter().all(u8::is_ascii_digit) || common.is_some_and(|common| common != *code) {
            return Err(malformed());
        }
        common = Some(*code);
        let (last, text) = match rest.split_first() {
            None => (true, &[][..]),
            Some((b' ', text)) => (true, text),
            Some((b'-', text)) => (false, text),
            Some(_) => return Err(malformed()),
        };
        lines.push(text.to_vec());
        if last {
            return Ok(Reply { code: *code, lines });
        }
    }
}
