//! ISO-8601 durations as Java's `Duration.parse` takes them: `PnDTnHnMn.nS`.
//!
//! Invariant: what is taken here and what is refused is what Java takes and refuses.

/// Whether `text` is a duration of that form and not below zero.
pub(super) fn is_non_negative(text: &str) -> bool {
    nanoseconds(text).is_some_and(|nanoseconds| nanoseconds >= 0)
}

/// How many whole milliseconds `text` says, where it is a duration of that form.
pub(super) fn milliseconds(text: &str) -> Option<i64> {
    let milliseconds = nanoseconds(text)?.div_euclid(1_000_000);
    Some(i64::try_from(milliseconds).unwrap_or(i64::MAX))
}

fn nanoseconds(text: &str) -> Option<i128> {
    const SECOND: i128 = 1_000_000_000;
    let text = text.to_ascii_uppercase();
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let (days, time) = match rest.strip_prefix('P')?.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None => (rest.strip_prefix('P')?, ""),
    };
    if days.is_empty() && time.is_empty() {
        return None;
    }
    let (days, left) = take_number(days, 'D')?;
    if !left.is_empty() {
        return None;
    }
    let (hours, time) = take_number(time, 'H')?;
    let (minutes, time) = take_number(time, 'M')?;
    let seconds = match time.strip_suffix('S') {
        Some(seconds) => parse_seconds(seconds)?,
        None if time.is_empty() => 0,
        None => return None,
    };
    let whole = (days * 24 + hours) * 60 + minutes;
    Some(sign * (whole * 60 * SECOND + seconds))
}

/// The number before `unit` and what follows; nothing there is zero.
fn take_number(text: &str, unit: char) -> Option<(i128, &str)> {
    match text.split_once(unit) {
        Some((number, rest)) => Some((i128::from(number.parse::<i64>().ok()?), rest)),
        None => Some((0, text)),
    }
}

fn parse_seconds(text: &str) -> Option<i128> {
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanoseconds: i128 = format!("{fraction:0<9}").parse().ok()?;
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    Some(i128::from(whole.parse::<i64>().ok()?) * 1_000_000_000 + sign * nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_java_writes_them_are_taken() {
        for text in [
            "PT0S",
            "P1D",
            "PT1H",
            "PT20.345S",
            "P2DT3H4M",
            "pt1m",
            "PT1H-30M",
            "-PT-5S",
        ] {
            assert!(is_non_negative(text), "{text}");
        }
    }

    #[test]
    fn anything_else_and_what_is_below_zero_is_refused() {
        for text in [
            "",
            "P",
            "PT",
            "1h",
            "P1H",
            "PT1D",
            "-PT1S",
            "PT-1S",
            "P1Y",
            "PT1.0123456789S",
        ] {
            assert!(!is_non_negative(text), "{text}");
        }
    }
}
