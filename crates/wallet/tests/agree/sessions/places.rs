//! Where in a session signature the bytes stand that steer its reading.

use crate::walk::Walk;

/// Walks a session signature as far as it makes sense.
pub(super) fn places(bytes: &[u8]) -> Vec<usize> {
    let mut walk = Walk::new(bytes);
    let _ = whole(&mut walk);
    walk.places
}

fn whole(walk: &mut Walk<'_>) -> Option<()> {
    let mut at = 0;
    let length = walk.number(&mut at, 3)?;
    tree(walk, at, (at + length).min(walk.bytes.len()));
    at += length;
    let attestations = walk.number(&mut at, 1)?;
    for _ in 0..attestations {
        at += 20 + 4 + 32 + 32;
        for _ in 0..2 {
            at += walk.number(&mut at, 3)?;
        }
        at += 8 + 64;
    }
    while at < walk.bytes.len() {
        walk.number(&mut at, 1)?;
        at += 64;
    }
    Some(())
}

fn tree(walk: &mut Walk<'_>, mut at: usize, end: usize) -> Option<()> {
    while at < end {
        let tag = walk.number(&mut at, 1)?;
        match tag >> 4 {
            0 => {
                // The last bytes of the chain and the deadline steer too.
                walk.places.extend([at + 20, at + 51, at + 91]);
                at += 20 + 32 + 32 + 8;
                for _ in 0..walk.number(&mut at, 1)? {
                    at += 20;
                    for _ in 0..walk.number(&mut at, 1)? {
                        walk.number(&mut at, 1)?;
                        walk.places.extend([at + 31, at + 63, at + 64]);
                        at += 96;
                    }
                }
            }
            1 => at += 32,
            2 => {
                let length = walk.number(&mut at, tag & 0x0f)?;
                tree(walk, at, (at + length).min(end));
                at += length;
            }
            3 => {
                let count = if tag & 0x0f == 15 {
                    walk.number(&mut at, 2)?
                } else {
                    tag & 0x0f
                };
                at += 20 * count;
            }
            4 => at += 20,
            _ => return None,
        }
    }
    Some(())
}
