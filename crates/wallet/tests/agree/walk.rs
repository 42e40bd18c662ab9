//! Walking encoded bytes, to find the places that steer their reading: what mutation hits first.

/// Bytes, and the places in them that were read as flags, counts or lengths.
pub(crate) struct Walk<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) places: Vec<usize>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            places: Vec::new(),
        }
    }

    pub(crate) fn byte(&mut self, at: &mut usize) -> Option<u8> {
        let byte = *self.bytes.get(*at)?;
        self.places.push(*at);
        *at += 1;
        Some(byte)
    }

    pub(crate) fn number(&mut self, at: &mut usize, width: usize) -> Option<usize> {
        let mut value = 0usize;
        for _ in 0..width {
            value = value << 8 & 0xffff_ffff | usize::from(self.byte(at)?);
        }
        Some(value)
    }
}
