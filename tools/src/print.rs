//! What tools print on standard output.
//!
//! Invariant: a reader that goes away (`| head`) is no error, as with upstream's tools.

use std::io::{self, BufWriter, Stdout, Write};

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

/// Prints a line on standard output.
pub fn line(text: impl AsRef<str>) {
    Output::stdout().line(text);
}

/// Tells a failure on standard error, as upstream's tools log one.
pub fn log_error(failure: &Failure, logger: &str) {
    eprintln!("ERROR {}\n ({logger})", failure.trace());
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
