//! Where in a session signature the bytes stand that steer its reading.

/// Walks a signature as far as it makes sense.
pub(super) fn places(bytes: &[u8]) -> Vec<usize> {
    let mut walk = Walk {
        bytes,
        places: Vec::new(),
    };
    let _ = walk.whole();
    walk.places
}

struct Walk<'a> {
    bytes: &'a [u8],
    places: Vec<usize>,
}

impl Walk<'_> {
    fn number(&mut self, at: &mut usize, width: usize) -> Option<usize> {
        let mut value = 0usize;
        for _ in 0..width {
            value = value << 8 & 0xffff_ffff | usize::from(*self.bytes.get(*at)?);
            self.places.push(*at);
            *at += 1;
        }
        Some(value)
    }

    fn whole(&mut self) -> Option<()> {
        let mut at = 0;
        let length = self.number(&mut at, 3)?;
        self.tree(at, (at + length).min(self.bytes.len()));
        at += length;
        let attestations = self.number(&mut at, 1)?;
        for _ in 0..attestations {
            at += 20 + 4 + 32 + 32;
            for _ in 0..2 {
                at += self.number(&mut at, 3)?;
            }
            at += 8 + 64;
        }
        while at < self.bytes.len() {
            self.number(&mut at, 1)?;
            at += 64;
        }
        Some(())
    }

    fn tree(&mut self, mut at: usize, end: usize) -> Option<()> {
        while at < end {
            let tag = self.number(&mut at, 1)?;
            match tag >> 4 {
                0 => {
                    // The last bytes of the chain and the deadline steer too.
                    self.places.extend([at + 20, at + 51, at + 91]);
                    at += 20 + 32 + 32 + 8;
                    for _ in 0..self.number(&mut at, 1)? {
                        at += 20;
                        for _ in 0..self.number(&mut at, 1)? {
                            self.number(&mut at, 1)?;
                            self.places.extend([at + 31, at + 63, at + 64]);
                            at += 96;
                        }
                    }
                }
                1 => at += 32,
                2 => {
                    let length = self.number(&mut at, tag & 0x0f)?;
                    self.tree(at, (at + length).min(end));
                    at += length;
                }
                3 => {
                    let count = if tag & 0x0f == 15 {
                        self.number(&mut at, 2)?
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
}
