//! Where in a signature the bytes stand that steer its reading.

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
    fn byte(&mut self, at: &mut usize) -> Option<u8> {
        let byte = *self.bytes.get(*at)?;
        self.places.push(*at);
        *at += 1;
        Some(byte)
    }

    fn number(&mut self, at: &mut usize, width: usize) -> Option<usize> {
        let mut value = 0usize;
        for _ in 0..width {
            value = value << 8 & 0xffff_ffff | usize::from(self.byte(at)?);
        }
        Some(value)
    }

    fn whole(&mut self) -> Option<()> {
        let mut at = 0;
        let flags = self.byte(&mut at)?;
        if flags & 0x01 == 0 {
            return self.one(0, self.bytes.len(), true);
        }
        if flags & 0x40 != 0 {
            at += 20;
            at += self.number(&mut at, 3)?;
        }
        while at < self.bytes.len() {
            let length = self.number(&mut at, 3)?;
            self.one(at, at + length, false)?;
            at += length;
        }
        Some(())
    }

    fn one(&mut self, mut at: usize, end: usize, alone: bool) -> Option<()> {
        let flags = self.byte(&mut at)?;
        if flags & 0x40 != 0 {
            at += 20;
            if alone {
                at += self.number(&mut at, 3)?;
            }
        }
        at += usize::from(flags >> 2) & 7;
        self.number(&mut at, 1 + usize::from(flags >> 5 & 1))?;
        self.items(at, end.min(self.bytes.len()))
    }

    fn items(&mut self, mut at: usize, end: usize) -> Option<()> {
        while at < end {
            let first = self.byte(&mut at)?;
            let (tag, free) = (first >> 4, usize::from(first & 0x0f));
            let weight = match tag {
                2 | 9 | 10 => free & 3,
                6 => free >> 2,
                0 | 1 | 7 => free,
                _ => 1,
            };
            if weight == 0 {
                self.byte(&mut at)?;
            }
            at += match tag {
                0 | 7 => 64,
                1 => 20,
                3 | 5 | 8 => 32,
                2 | 9 | 10 => {
                    at += 20;
                    self.number(&mut at, free >> 2)?
                }
                4 | 6 => {
                    if tag == 6 && free & 3 == 0 {
                        self.number(&mut at, 2)?;
                    }
                    let length = self.number(&mut at, if tag == 4 { free } else { 3 })?;
                    self.items(at, (at + length).min(end))?;
                    length
                }
                _ => return None,
            };
        }
        Some(())
    }
}
