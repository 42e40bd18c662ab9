//! The field GF(2^8) modulo x^8 + x^4 + x^3 + x + 1 (0x11b), as AES has it.
//!
//! No tables and no branches on operands: a table's cache lines and a branch's time would tell
//! what was multiplied.

use core::hint::black_box;

/// Multiplies two elements.
pub(super) fn multiply(a: u8, b: u8) -> u8 {
    let mut product = 0;
    let mut power = a;
    for bit in 0..8 {
        // black_box keeps the compiler from turning the masks back into branches.
        let selected = black_box(((b >> bit) & 1).wrapping_neg());
        product ^= power & selected;
        let overflow = black_box((power >> 7).wrapping_neg());
        power = (power << 1) ^ (0x1b & overflow);
    }
    product
}

/// Returns the multiplicative inverse, and 0 for 0: a^254, since a^255 = 1.
pub(super) fn invert(a: u8) -> u8 {
    let mut result = 1;
    let mut power = a;
    // 254 = 0b1111_1110: square seven times, multiplying every time.
    for _ in 0..7 {
        power = multiply(power, power);
        result = multiply(result, power);
    }
    result
}

/// Sets each `values[i]` to `values[i] * x + addend[i]`.
pub(super) fn multiply_add(values: &mut [u8], x: u8, addend: &[u8]) {
    for (value, added) in values.iter_mut().zip(addend) {
        *value = multiply(*value, x) ^ added;
    }
}

/// Adds `factor * data[i]` to each `sum[i]`.
pub(super) fn add_scaled(sum: &mut [u8], factor: u8, data: &[u8]) {
    for (target, byte) in sum.iter_mut().zip(data) {
        *target ^= multiply(*byte, factor);
    }
}

/// Returns the weight of the share at `index` for the value at 0: the product of
/// `x / (x - index)` over the other indices. Indices are public.
pub(super) fn lagrange_at_zero(index: u8, indices: impl Iterator<Item = u8>) -> u8 {
    let (mut numerator, mut denominator) = (1, 1);
    for other in indices.filter(|other| *other != index) {
        numerator = multiply(numerator, other);
        denominator = multiply(denominator, other ^ index);
    }
    multiply(numerator, invert(denominator))
}
