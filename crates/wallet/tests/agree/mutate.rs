//! Making good bytes bad.

use crate::rng::Rng;

/// Changes bytes. `places` are where tags, flags, lengths, weights and thresholds stand, and
/// `donor` is other bytes of the same kind.
pub(crate) fn mutate(rng: &mut Rng, bytes: &[u8], places: &[usize], donor: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let times = if rng.chance(80) { 1 } else { 1 + rng.below(3) };
    for _ in 0..times {
        once(rng, &mut out, places, donor);
    }
    out
}

fn once(rng: &mut Rng, out: &mut Vec<u8>, places: &[usize], donor: &[u8]) {
    if out.is_empty() {
        out.extend_from_slice(donor);
        return;
    }
    let anywhere = rng.below(out.len());
    let mut place = anywhere;
    if !places.is_empty() && rng.chance(80) {
        place = rng.pick(places).min(out.len() - 1);
    }
    match rng.below(13) {
        0 | 1 => out[anywhere] ^= 1 << rng.below(8),
        2 | 3 => out[place] ^= 1 << rng.below(8),
        // The tag, or what stands beside it.
        4 => out[place] = out[place] & 0x0f | rng.byte() & 0xf0,
        5 => out[place] = out[place] & 0xf0 | rng.byte() & 0x0f,
        // Lengths, weights and thresholds: one more, one less, none, the most.
        6 => out[place] = out[place].wrapping_add(1),
        7 => out[place] = out[place].wrapping_sub(1),
        8 => {
            let end = (place + 1 + rng.below(2)).min(out.len());
            let byte = rng.pick(&[0, 0xff]);
            out[place..end].fill(byte);
        }
        9 => out.truncate(anywhere),
        10 => out.extend(rng.some_bytes(40)),
        11 => {
            let end = (place + 1 + rng.below(40)).min(out.len());
            out.drain(place..end);
        }
        _ => {
            let from = rng.below(donor.len().max(1));
            let piece: Vec<u8> = donor
                .iter()
                .skip(from)
                .take(1 + rng.below(80))
                .copied()
                .collect();
            let end = if rng.chance(50) {
                place
            } else {
                (place + piece.len()).min(out.len())
            };
            out.splice(place..end, piece);
        }
    }
}
