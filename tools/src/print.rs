//! What tools print on standard output.
//!
//! Invariant: a reader that goes away (`| head`) is no error, as with upstream's tools.

use std::io::{self, BufWriter, Stdout, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::failure::Failure;

/// Standard output, written in large pieces; what is left is written when this is dropped.
#[derive(Debug)]
pub struct Output {
    to: BufWriter<Stdout>,
}

const BUFFER_BYTES: usize = 64 * 1024;

impl Output {
    #[must_use]
    pub fn stdout() -> Self {
        Output {
            to: BufWriter::with_capacity(BUFFER_BYTES, io::stdout()),
        }
    }

    /// Writes a line.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.bytes(text.as_ref().as_bytes());
        self.bytes(b"\n");
    }

    /// Writes bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        // Java's System.out ignores what cannot be written; so does whoever pipes into `head`.
        let _ = self.to.write_all(bytes);
    }

    /// Gives the reader what was written so far.
    pub fn flush(&mut self) {
        let _ = self.to.flush();
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.flush();
    }
}

/// Writes on standard error. Where nobody reads it there is nobody to tell, and the tool goes on.
pub fn error(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// As `println!`, which would end the program where nobody reads.
#[macro_export]
macro_rules! say {
    ($($words:tt)*) => { $crate::print::line(format!($($words)*)) };
}

/// As `eprintln!`, which would end the program where nobody reads.
#[macro_export]
macro_rules! complain {
    ($($words:tt)*) => { $crate::print::error(&(format!($($words)*) + "\n")) };
}

/// Prints a line on standard output.
pub fn line(text: impl AsRef<str>) {
    Output::stdout().line(text);
}

/// Tells a failure on standard error, as upstream's tools log one.
pub fn log_error(failure: &Failure, logger: &str) {
    log("ERROR", &format!("{}\n", failure.trace()), logger);
}

/// A line of the log on standard error, in the shape that upstream's tools are configured for.
pub fn log(level: &str, text: &str, logger: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let time = shown_time(now.unwrap_or_default());
    crate::complain!("[{time}] {level} {text} ({logger})");
}

const SECONDS_A_DAY: u64 = 86_400;

/// A time since 1970 as a log shows it, in UTC.
fn shown_time(since: Duration) -> String {
    let seconds = since.as_secs() % SECONDS_A_DAY;
    let (year, month, day) = civil_date(since.as_secs() / SECONDS_A_DAY);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02},{:03}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
        since.subsec_millis()
    )
}

/// The date of a day since 1970: years begin in March here, so that a leap day is a year's last.
fn civil_date(day: u64) -> (u64, u64, u64) {
    let days = day + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, later) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + later, month, day)
}

/// Rows as columns: each as wide as its widest cell, a tab behind every one.
#[must_use]
pub fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| cell.chars().count()).max().unwrap_or(0);
        headers
            .get(column)
            .map_or(0, |header| header.len())
            .max(widest)
    };
    let widths: Vec<usize> = (0..headers.len()).map(width).collect();
    let mut text = String::new();
    let mut push = |cells: &mut dyn Iterator<Item = &str>| {
        for (cell, width) in cells.zip(&widths) {
            text.push_str(&format!("{cell:<width$}\t", width = *width));
        }
        text.push('\n');
    };
    push(&mut headers.iter().copied());
    for row in rows {
        push(&mut row.iter().map(String::as_str));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_as_in_a_log() {
        for (millis, text) in [
            (0, "1970-01-01 00:00:00,000"),
            (951_782_399_999, "2000-02-28 23:59:59,999"),
            (951_782_400_000, "2000-02-29 00:00:00,000"),
            (1_795_271_524_007, "2026-11-21 14:32:04,007"),
        ] {
            assert_eq!(shown_time(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "1".to_owned()]];
        assert_eq!(table(&["ID", "N"], &rows), "ID\tN\t\na \t1\t\n");
    }
}
