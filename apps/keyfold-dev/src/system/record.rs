//! Recording everything that passes the host on an enclave's two pipes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::system::SystemError;

const CHUNK: usize = 16 * 1024;

/// Stands between the two ends of a pipe and writes down what it carries, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Recorder {
    task: JoinHandle<()>,
}

/// Both directions of all connections, appended as they come.
#[derive(Debug, Clone)]
struct Tape(Arc<Mutex<std::fs::File>>);

impl Tape {
    fn write(&self, bytes: &[u8]) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = file.write_all(bytes) {
            tracing::error!(%error, "the traffic cannot be recorded any more");
        }
    }
}

impl Recorder {
    /// Listens at `front`, forwards to `behind`, and records in the file `tape`.
    pub(crate) fn start(front: &Path, behind: &Path, tape: &Path) -> Result<Self, SystemError> {
        let listener = UnixListener::bind(front)
            .map_err(SystemError::io(format!("listen on {}", front.display())))?;
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(tape)
            .map_err(SystemError::io(format!("write {}", tape.display())))?;
        let task = tokio::spawn(serve(
            listener,
            behind.to_owned(),
            Tape(Arc::new(Mutex::new(file))),
        ));
        Ok(Self { task })
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: UnixListener, behind: PathBuf, tape: Tape) {
    while let Ok((front, _)) = listener.accept().await {
        let (behind, tape) = (behind.clone(), tape.clone());
        tokio::spawn(async move {
            // Where nobody listens behind it, dropping the stream is the answer, as without us.
            let Ok(behind) = UnixStream::connect(behind).await else {
                return;
            };
            let (front_read, front_write) = front.into_split();
            let (behind_read, behind_write) = behind.into_split();
            tokio::join!(
                copy(front_read, behind_write, &tape),
                copy(behind_read, front_write, &tape),
            );
        });
    }
}

async fn copy(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, tape: &Tape) {
    let mut chunk = vec![0; CHUNK];
    while let Ok(read @ 1..) = from.read(&mut chunk).await {
        let Some(bytes) = chunk.get(..read) else {
            break;
        };
        tape.write(bytes);
        if to.write_all(bytes).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
