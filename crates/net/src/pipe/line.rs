//! One short line at the beginning of a stream.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The most bytes a line has, its end included: the longest host name, a port and a word.
pub const MAX_LINE_BYTES: usize = 280;

/// Reads a line of printable ASCII and not one byte further: what follows is for somebody else.
///
/// # Errors
///
/// `InvalidData` if it is longer or has other bytes, `UnexpectedEof` if it does not end.
pub(super) async fn read_line(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<String> {
    let mut line = String::new();
    loop {
        let byte = stream.read_u8().await?;
        match byte {
            b'\n' => return Ok(line),
            b' '..=b'~' if line.len() + 1 < MAX_LINE_BYTES => line.push(char::from(byte)),
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "not a line of the pipe",
                ));
            }
        }
    }
}

/// Reads a decimal without sign or leading zero.
pub(super) fn canonical<N: std::str::FromStr + ToString>(digits: &str) -> Option<N> {
    digits
        .parse::<N>()
        .ok()
        .filter(|number| number.to_string() == digits)
}
