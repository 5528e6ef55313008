//! Percentages of a number of tenants, without the surprises of binary fractions.

/// One hundred per cent in millionths.
const WHOLE: u128 = 1_000_000;

/// `percent` of `whole`, rounded down. Percentages are exact to four decimals; below 0 and above 100 are clamped.
pub fn share_down(percent: f64, whole: u64) -> u32 {
    clamp(millionths(percent) * u128::from(whole) / WHOLE)
}

/// `percent` of `whole`, rounded up. Percentages are exact to four decimals; below 0 and above 100 are clamped.
pub fn share_up(percent: f64, whole: u64) -> u32 {
    clamp((millionths(percent) * u128::from(whole)).div_ceil(WHOLE))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to 0..=100 before; NaN becomes 0"
)]
fn millionths(percent: f64) -> u128 {
    (percent.clamp(0.0, 100.0) * 10_000.0).round() as u128
}

fn clamp(n: u128) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_that_binary_cannot_write_is_still_exact() {
        // 0.29 * 100 is 28.999999999999996 in binary.
        assert_eq!(share_down(0.29, 10_000), 29);
        assert_eq!(share_up(0.07, 10_000), 7);
        assert_eq!((share_down(10.0, 19), share_up(10.0, 19)), (1, 2));
        assert_eq!((share_down(100.0, 7), share_up(250.0, 7)), (7, 7));
        assert_eq!((share_down(f64::NAN, 7), share_up(-1.0, 7)), (0, 0));
    }
}
