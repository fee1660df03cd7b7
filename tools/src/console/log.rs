//! Lines of a log on standard error, in the layout of upstream's log4j.
//!
//! Invariant: what is logged never reaches standard output.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::failure::Failure;

const DAY_SECONDS: u64 = 86_400;

/// Logs an error, and the exception behind it.
pub(super) fn error(logger: &str, message: &str, failure: &Failure) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let ms = now.map_or(0, |since| since.as_millis() as u64);
    // An exception without a text is its class alone.
    let trace = failure.trace();
    let trace = trace.trim_end().trim_end_matches(':');
    crate::complain!("[{}] ERROR {message} ({logger})\n{trace}", timestamp(ms));
}

/// Milliseconds since 1970 as log4j shows a time; in UTC, as in a container.
fn timestamp(ms: u64) -> String {
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (mut days, second) = (seconds / DAY_SECONDS, seconds % DAY_SECONDS);
    let is_leap =
        |year: u64| year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!(
        "{year}-{month:02}-{:02} {hour:02}:{minute:02}:{second:02},{ms:03}",
        days + 1
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_as_log4j_shows_it() {
        assert_eq!(timestamp(0), "1970-01-01 00:00:00,000");
        assert_eq!(timestamp(951_782_400_005), "2000-02-29 00:00:00,005");
        assert_eq!(timestamp(1_795_259_879_901), "2026-11-21 11:17:59,901");
    }
}
