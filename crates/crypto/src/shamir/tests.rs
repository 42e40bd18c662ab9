use proptest::{collection::vec, prelude::*, sample::subsequence};
use vsss_rs::Gf256;

use super::{gf256::*, *};
use crate::testing::SeededRng;

fn threshold(needed: u8, total: u8) -> Threshold {
    Threshold::new(needed, total).unwrap()
}

fn share(index: u8, data: &[u8]) -> Share {
    Share::new(index, SecretBytes::from_slice(data)).unwrap()
}

#[test]
fn field_products_of_fips_197() {
    // FIPS 197 section 4.2 and 4.2.1.
    for (a, b, product) in [
        (0x57, 0x83, 0xc1),
        (0x57, 0x13, 0xfe),
        (0x57, 0x02, 0xae),
        (0x57, 0x10, 0x07),
    ] {
        assert_eq!(multiply(a, b), product);
    }
    // The pair of the same section on which AES's own inversion is explained: {53}{ca} = {01}.
    assert_eq!(invert(0x53), 0xca);
}

#[test]
fn field_agrees_with_long_division_everywhere() {
    fn slow(a: u8, b: u8) -> u8 {
        let mut product = (0..8)
            .filter(|bit| b >> bit & 1 == 1)
            .fold(0_u16, |sum, bit| sum ^ u16::from(a) << bit);
        for bit in (8..16).rev() {
            if product >> bit & 1 == 1 {
                product ^= 0x11b << (bit - 8);
            }
        }
        product as u8
    }
    for a in 0..=255 {
        for b in 0..=255 {
            assert_eq!(multiply(a, b), slow(a, b));
        }
        assert_eq!(multiply(a, invert(a)), u8::from(a != 0));
    }
}

#[test]
fn known_polynomial() {
    // f(x) = 0x42 + 0x07 x + 0x01 x^2, worked out by hand at 1, 2 and 3:
    // 42^07^01 = 44; 42^0e^04 = 48; 42^09^05 = 4e.
    let shares = [share(1, &[0x44]), share(2, &[0x48]), share(3, &[0x4e])];
    let secret = combine(threshold(3, 5), &shares).unwrap();
    assert_eq!(secret, SecretBytes::from_slice(&[0x42]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_t_of_n_give_the_secret(
        secret in vec(any::<u8>(), 1..48),
        (total, chosen) in (1_u8..=20).prop_flat_map(|n| {
            let all: Vec<_> = (0..usize::from(n)).collect();
            (Just(n), subsequence(all, 1..=usize::from(n)).prop_shuffle())
        }),
        seed: u64,
    ) {
        let threshold = threshold(chosen.len() as u8, total);
        let shares = split(&secret, threshold, &mut SeededRng::new(seed)).unwrap();
        let indices: Vec<_> = shares.iter().map(Share::index).collect();
        prop_assert_eq!(indices, (1..=total).collect::<Vec<_>>());
        let used: Vec<_> = chosen.iter().map(|position| &shares[*position]).collect();
        prop_assert_eq!(combine(threshold, &used).unwrap(), SecretBytes::from_slice(&secret));
    }

    #[test]
    fn vsss_rs_combines_our_shares(secret in vec(any::<u8>(), 1..40), seed: u64) {
        let shares = split(&secret, threshold(3, 5), &mut SeededRng::new(seed)).unwrap();
        let theirs: Vec<Vec<u8>> = [4, 0, 2]
            .map(|position: usize| {
                let share = &shares[position];
                share.data().expose(|data| [&[share.index()], data].concat())
            })
            .to_vec();
        prop_assert_eq!(Gf256::combine_bytes(&theirs).unwrap(), secret);
    }

    #[test]
    fn we_combine_the_shares_of_vsss_rs(secret in vec(any::<u8>(), 1..40), seed: u64) {
        let theirs = Gf256::split_bytes(2, 4, &secret, SeededRng::new(seed)).unwrap();
        let shares: Vec<_> = theirs[1..3].iter().map(|bytes| share(bytes[0], &bytes[1..])).collect();
        prop_assert_eq!(
            combine(threshold(2, 4), &shares).unwrap(),
            SecretBytes::from_slice(&secret)
        );
    }
}

#[test]
fn all_pairs_of_two_of_three() {
    let secret = [7; 32];
    let shares = split(&secret, threshold(2, 3), &mut SeededRng::new(5)).unwrap();
    for (a, b) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
        let combined = combine(threshold(2, 3), &[&shares[a], &shares[b]]).unwrap();
        assert_eq!(combined, SecretBytes::from_slice(&secret));
    }
}

#[test]
fn the_largest_sharing() {
    let threshold = threshold(255, 255);
    let shares = split(&[1, 2, 3, 4], threshold, &mut SeededRng::new(6)).unwrap();
    assert_eq!(
        combine(threshold, &shares).unwrap(),
        SecretBytes::from_slice(&[1, 2, 3, 4])
    );
}

/// Counts how often each byte value is in the shares at `positions` of a fixed secret byte and
/// returns chi-squared over the pairs of shares, folded to 256 bins.
fn chi_squared(secret: u8, positions: &[usize], needed: u8) -> f64 {
    const BYTES: usize = 1 << 14;
    let mut counts = [0_f64; 256];
    let mut rng = SeededRng::new(u64::from(secret));
    let shares = split(&[secret; BYTES], threshold(needed, 5), &mut rng).unwrap();
    let columns: Vec<Vec<u8>> = positions
        .iter()
        .map(|position| shares[*position].data().expose(<[u8]>::to_vec))
        .collect();
    for byte in 0..BYTES {
        // Any fixed linear combination of t - 1 shares is uniform as well; different factors for
        // the shares make it depend on each of them.
        let folded = columns.iter().zip(2_u8..).fold(0, |sum, (column, factor)| {
            sum ^ multiply(column[byte], factor)
        });
        counts[usize::from(folded)] += 1.0;
    }
    let expected = BYTES as f64 / 256.0;
    counts
        .iter()
        .map(|count| (count - expected).powi(2) / expected)
        .sum()
}

#[test]
fn fewer_than_t_shares_are_uniform_whatever_the_secret() {
    // 255 degrees of freedom: mean 255, standard deviation 22.6. With fixed seeds the outcome is
    // fixed; the bounds are five deviations away.
    for secret in [0, 1, 0xff] {
        for (needed, positions) in [
            (2, &[0][..]),
            (2, &[4]),
            (3, &[0, 1]),
            (3, &[2, 4]),
            (4, &[0, 1, 2]),
        ] {
            let statistic = chi_squared(secret, positions, needed);
            assert!(
                (142.0..368.0).contains(&statistic),
                "{secret} {positions:?}: {statistic}"
            );
        }
    }
}

#[test]
fn one_share_less_leaves_every_secret_equally_possible() {
    // Exhaustive: given one share of 2-of-n, each of the 256 candidates for the other one gives
    // another secret.
    let known = share(1, &[0x5a]);
    let mut possible = [false; 256];
    for candidate in 0..=255 {
        let secret = combine(threshold(2, 3), &[&known, &share(2, &[candidate])]).unwrap();
        secret.expose(|secret| possible[usize::from(secret[0])] = true);
    }
    assert!(possible.iter().all(|possible| *possible));
}

#[test]
fn sharings_of_the_same_secret_differ() {
    let mut rng = SeededRng::new(8);
    let first = split(&[9; 16], threshold(2, 3), &mut rng).unwrap();
    let second = split(&[9; 16], threshold(2, 3), &mut rng).unwrap();
    assert_ne!(first, second);
}

#[test]
fn thresholds_out_of_range_are_refused() {
    for (needed, total) in [(0, 0), (0, 3), (4, 3), (255, 254)] {
        assert_eq!(
            Threshold::new(needed, total),
            Err(ThresholdError { needed, total })
        );
    }
    assert!(Threshold::new(1, 1).is_ok());
}

#[test]
fn secrets_out_of_range_are_refused() {
    let mut rng = SeededRng::new(1);
    assert_eq!(split(&[], threshold(1, 1), &mut rng), Err(SplitError));
    assert_eq!(
        split(&[0; MAX_SECRET_BYTES + 1], threshold(1, 1), &mut rng),
        Err(SplitError)
    );
    assert!(split(&[0; MAX_SECRET_BYTES], threshold(2, 2), &mut rng).is_ok());
}

#[test]
fn share_at_zero_is_refused() {
    assert_eq!(
        Share::new(0, SecretBytes::from_slice(&[1])),
        Err(ShareError::ZeroIndex)
    );
    assert_eq!(
        Share::new(1, SecretBytes::from_slice(&[])),
        Err(ShareError::Length)
    );
    let long = SecretBytes::from_vec(vec![0; MAX_SECRET_BYTES + 1]);
    assert_eq!(Share::new(1, long), Err(ShareError::Length));
}

#[test]
fn sets_that_cannot_be_combined_are_refused() {
    let of = threshold(2, 3);
    let none: [Share; 0] = [];
    assert_eq!(
        combine(of, &none),
        Err(CombineError::TooFew { have: 0, need: 2 })
    );
    assert_eq!(
        combine(of, &[share(1, &[1])]),
        Err(CombineError::TooFew { have: 1, need: 2 })
    );
    assert_eq!(
        combine(of, &[share(1, &[1]), share(1, &[1])]),
        Err(CombineError::DuplicateIndex(1))
    );
    assert_eq!(
        combine(of, &[share(1, &[1]), share(4, &[1])]),
        Err(CombineError::UnknownIndex(4))
    );
    assert_eq!(
        combine(of, &[share(1, &[1]), share(2, &[1, 2])]),
        Err(CombineError::LengthsDiffer)
    );
    // Also what would not be used is looked at.
    assert_eq!(
        combine(of, &[share(1, &[1]), share(2, &[1]), share(2, &[1])]),
        Err(CombineError::DuplicateIndex(2))
    );
}
