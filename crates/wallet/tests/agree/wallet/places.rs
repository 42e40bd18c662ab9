//! Where in a signature the bytes stand that steer its reading.

use crate::walk::Walk;

/// Walks a signature as far as it makes sense.
pub(super) fn places(bytes: &[u8]) -> Vec<usize> {
    let mut walk = Walk::new(bytes);
    let _ = whole(&mut walk);
    walk.places
}

fn whole(walk: &mut Walk<'_>) -> Option<()> {
    let mut at = 0;
    let flags = walk.byte(&mut at)?;
    if flags & 0x01 == 0 {
        return one(walk, 0, walk.bytes.len(), true);
    }
    if flags & 0x40 != 0 {
        at += 20;
        at += walk.number(&mut at, 3)?;
    }
    while at < walk.bytes.len() {
        let length = walk.number(&mut at, 3)?;
        one(walk, at, at + length, false)?;
        at += length;
    }
    Some(())
}

fn one(walk: &mut Walk<'_>, mut at: usize, end: usize, alone: bool) -> Option<()> {
    let flags = walk.byte(&mut at)?;
    if flags & 0x40 != 0 {
        at += 20;
        if alone {
            at += walk.number(&mut at, 3)?;
        }
    }
    at += usize::from(flags >> 2) & 7;
    walk.number(&mut at, 1 + usize::from(flags >> 5 & 1))?;
    items(walk, at, end.min(walk.bytes.len()))
}

fn items(walk: &mut Walk<'_>, mut at: usize, end: usize) -> Option<()> {
    while at < end {
        let first = walk.byte(&mut at)?;
        let (tag, free) = (first >> 4, usize::from(first & 0x0f));
        let weight = match tag {
            2 | 9 | 10 => free & 3,
            6 => free >> 2,
            0 | 1 | 7 => free,
            _ => 1,
        };
        if weight == 0 {
            walk.byte(&mut at)?;
        }
        at += match tag {
            0 | 7 => 64,
            1 => 20,
            3 | 5 | 8 => 32,
            2 | 9 | 10 => {
                at += 20;
                walk.number(&mut at, free >> 2)?
            }
            4 | 6 => {
                if tag == 6 && free & 3 == 0 {
                    walk.number(&mut at, 2)?;
                }
                let length = walk.number(&mut at, if tag == 4 { free } else { 3 })?;
                items(walk, at, (at + length).min(end))?;
                length
            }
            _ => return None,
        };
    }
    Some(())
}
