//! Joining encoded signatures to a chain without reading their trees.

use alloy_primitives::Bytes;

use super::decode::MAX_SIGNATURE;
use super::encode::{FLAG_CHAINED, FLAG_CHECKPOINTER, FLAG_STATIC};
use crate::bytes::{Reader, push_uint};

/// Why signatures cannot be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConcatError {
    /// A chain needs at least one link.
    #[error("a chain of signatures needs at least one link")]
    Empty,
    /// Only signatures of one configuration can be links.
    #[error("link {0} is a chain or a static signature")]
    NotSingle(usize),
    /// A link that ends within its header.
    #[error("link {0} ends too early")]
    Truncated(usize),
    /// A link longer than 2^24 - 1 bytes, or all together longer than is read.
    #[error("link {0} is too long")]
    TooLong(usize),
}

/// Joins encoded signatures to a chain, newest first: the first signs the payload, each other the
/// update to the configuration before it.
///
/// Checkpointer data is that of the last link; the others' is left out. The trees are copied as
/// they are.
///
/// # Errors
/// [`ConcatError`].
pub fn concat(links: &[&[u8]]) -> Result<Bytes, ConcatError> {
    let last = links.len().checked_sub(1).ok_or(ConcatError::Empty)?;
    let mut outer = vec![FLAG_CHAINED];
    let mut chunks = Vec::new();
    for (index, link) in links.iter().enumerate() {
        let truncated = ConcatError::Truncated(index);
        let mut reader = Reader::new(link);
        let flags = reader.byte().ok_or(truncated)?;
        if flags & (FLAG_CHAINED | FLAG_STATIC) != 0 {
            return Err(ConcatError::NotSingle(index));
        }
        let mut chunk = vec![flags];
        if flags & FLAG_CHECKPOINTER != 0 {
            let checkpointer = reader.take(20).ok_or(truncated)?;
            let data = reader.sized(3).ok_or(truncated)?;
            if index == last {
                chunk = vec![flags & !FLAG_CHECKPOINTER];
                outer = vec![FLAG_CHAINED | FLAG_CHECKPOINTER];
                outer.extend_from_slice(checkpointer);
                push_uint(&mut outer, data.len() as u64, 3);
                outer.extend_from_slice(data);
            } else {
                chunk.extend_from_slice(checkpointer);
            }
        }
        chunk.extend_from_slice(reader.rest());
        if chunk.len() > 0xff_ffff || chunks.len() > MAX_SIGNATURE {
            return Err(ConcatError::TooLong(index));
        }
        push_uint(&mut chunks, chunk.len() as u64, 3);
        chunks.append(&mut chunk);
    }
    outer.append(&mut chunks);
    Ok(outer.into())
}
