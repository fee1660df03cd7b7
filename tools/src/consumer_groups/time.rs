//! Times and durations as `--to-datetime` and `--by-duration` take them.
//!
//! Invariant: what upstream's tool takes is taken and means the same; a time without a zone is in UTC.

use chrono::NaiveDateTime;

use crate::failure::Failure;

/// `2024-05-06T07:08:09.123`, with `Z`, `+02` or `+02:00` behind it or nothing, in milliseconds.
pub(crate) fn datetime(text: &str) -> Result<i64, Failure> {
    let failed = |message: String| {
        let parse = Failure::new("java.text.ParseException", message);
        let named = parse.named();
        parse.within("java.lang.RuntimeException", named)
    };
    let Some((date, time)) = text.split_once('T').filter(|(_, time)| !time.is_empty()) else {
        return Err(failed(
            "Error parsing timestamp. It does not contain a 'T' according to ISO8601 format".into(),
        ));
    };
    let zone = time.find(['+', '-', 'Z']);
    let (time, zone) = zone.map_or((time, "Z"), |at| time.split_at(at));
    let parsed = || {
        let zone = zone_ms(zone)?;
        let text = format!("{date}T{time}");
        // Upstream wants the milliseconds to be there.
        time.contains('.').then_some(())?;
        let time = NaiveDateTime::parse_from_str(&text, "%Y-%m-%dT%H:%M:%S%.f").ok()?;
        Some(time.and_utc().timestamp_millis() - zone)
    };
    let suffix = if text.ends_with(zone) { "" } else { zone };
    parsed().ok_or_else(|| failed(format!("Unparseable date: \"{text}{suffix}\"")))
}

fn zone_ms(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let sign = match zone.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone
        .get(1..)?
        .split_once(':')
        .unwrap_or((zone.get(1..)?, "00"));
    let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hours) || !two_digits(minutes) {
        return None;
    }
    let hours: i64 = hours.parse().ok()?;
    let minutes: i64 = minutes.parse().ok()?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

/// `PnDTnHnMn.nS`, each number with a sign of its own if it has one, in milliseconds.
pub(super) fn duration(text: &str) -> Result<i64, Failure> {
    parse_duration(text).ok_or_else(|| {
        Failure::new(
            "java.time.format.DateTimeParseException",
            "Text cannot be parsed to a Duration",
        )
    })
}

fn parse_duration(text: &str) -> Option<i64> {
    let text = text.to_ascii_uppercase();
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(&text)),
    };
    let rest = rest.strip_prefix('P')?;
    let (days, times) = match rest.split_once('T') {
        Some((_, "")) => return None,
        Some((days, times)) => (days, times),
        None => (rest, ""),
    };
    if days.is_empty() && times.is_empty() {
        return None;
    }
    let mut total = 0_i64;
    let mut days = days;
    if let Some(number) = days.strip_suffix('D') {
        total = total.checked_add(whole(number)?.checked_mul(86_400_000)?)?;
        days = "";
    }
    if !days.is_empty() {
        return None;
    }
    let mut rest = times;
    for (unit, unit_ms) in [('H', 3_600_000), ('M', 60_000)] {
        if let Some((number, behind)) = rest.split_once(unit) {
            total = total.checked_add(whole(number)?.checked_mul(unit_ms)?)?;
            rest = behind;
        }
    }
    if let Some(number) = rest.strip_suffix('S') {
        total = total.checked_add(seconds_ms(number)?)?;
        rest = "";
    }
    rest.is_empty().then_some(total.checked_mul(sign)?)
}

fn whole(number: &str) -> Option<i64> {
    number.parse().ok()
}

/// Seconds with up to nine digits behind the point; what is below a millisecond is dropped.
fn seconds_ms(number: &str) -> Option<i64> {
    let (seconds, fraction) = number.split_once(['.', ',']).unwrap_or((number, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let negative = seconds.starts_with('-');
    let digits: String = format!("{fraction}000").chars().take(3).collect();
    let fraction: i64 = digits.parse().ok()?;
    let ms = whole(seconds)?.checked_mul(1000)?;
    ms.checked_add(if negative { -fraction } else { fraction })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_utc_unless_it_says_its_zone() {
        let ms = |text| datetime(text).ok();
        assert_eq!(ms("1970-01-01T00:00:01.500"), Some(1500));
        assert_eq!(ms("1970-01-01T00:00:01.500Z"), Some(1500));
        assert_eq!(ms("1970-01-01T02:00:00.000+02"), Some(0));
        assert_eq!(ms("1970-01-01T02:30:00.000+02:30"), Some(0));
        assert_eq!(ms("1969-12-31T23:00:00.000-01:00"), Some(0));
    }

    #[test]
    fn what_is_no_time_is_said_in_upstreams_words() {
        let said = |text| datetime(text).unwrap_err().to_string();
        assert!(said("foo").contains("does not contain a 'T'"));
        assert_eq!(
            said("2020-13-01T00:00:00.000"),
            "java.text.ParseException: Unparseable date: \"2020-13-01T00:00:00.000Z\""
        );
        assert_eq!(
            said("2020-01-01T00:00:00Z"),
            "java.text.ParseException: Unparseable date: \"2020-01-01T00:00:00Z\""
        );
    }

    #[test]
    fn durations_are_as_javas() {
        let ms = |text| duration(text).ok();
        assert_eq!(ms("PT1H"), Some(3_600_000));
        assert_eq!(ms("P1DT2H3M4.5S"), Some(93_784_500));
        assert_eq!(ms("-PT1M"), Some(-60_000));
        assert_eq!(ms("PT-1M"), Some(-60_000));
        assert_eq!(ms("pt15s"), Some(15_000));
        for text in ["", "P", "PT", "P1DT", "1H", "PT1", "P1H", "PT1S1H", "foo"] {
            assert_eq!(ms(text), None, "{text}");
        }
    }
}
