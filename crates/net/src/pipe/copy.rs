//! Moving bytes both ways until one side is done, or a limit is reached.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Copies both ways.
///
/// # Errors
///
/// `TimedOut` after `idle` without a byte in either direction, `QuotaExceeded` once more than
/// `max_bytes` were read from one side.
pub(super) async fn relay<A, B>(a: A, b: B, idle: Duration, max_bytes: u64) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let seen = Arc::new(AtomicU64::new(0));
    let mut a = Counted {
        stream: a,
        seen: Arc::clone(&seen),
        left: max_bytes,
    };
    let mut b = Counted {
        stream: b,
        seen: Arc::clone(&seen),
        left: max_bytes,
    };
    let idle_for_long = async {
        let mut last = 0;
        loop {
            tokio::time::sleep(idle).await;
            let now = seen.load(Ordering::Relaxed);
            if now == last {
                return;
            }
            last = now;
        }
    };
    tokio::select! {
        copied = tokio::io::copy_bidirectional(&mut a, &mut b) => copied.map(drop),
        () = idle_for_long => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Reads, and takes what was read off `left`, in bytes. For a stream whose other end may not say
/// more than so much altogether.
///
/// # Errors
///
/// The stream's own; `QuotaExceeded` once more than `left` was read, and nothing of that is in
/// `buf`.
pub fn poll_read_at_most<S: AsyncRead>(
    stream: Pin<&mut S>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
    left: &mut u64,
) -> Poll<io::Result<()>> {
    let before = buf.filled().len();
    ready!(stream.poll_read(cx, buf))?;
    let read = buf.filled().len().saturating_sub(before) as u64;
    match left.checked_sub(read) {
        Some(rest) => *left = rest,
        None => {
            buf.set_filled(before);
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
    }
    Poll::Ready(Ok(()))
}

struct Counted<S> {
    stream: S,
    seen: Arc<AtomicU64>,
    left: u64,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, seen, left } = &mut *self;
        let before = *left;
        ready!(poll_read_at_most(Pin::new(stream), cx, buf, left))?;
        seen.fetch_add(before.saturating_sub(*left), Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
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
