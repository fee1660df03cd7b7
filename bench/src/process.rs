//! What the kernel says of a process: CPU time and resident memory.

use std::fs;

use anyhow::{Context, Result};

/// Ticks per second of the times in `/proc`: a constant of Linux's interface to programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time of all threads, in seconds.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in brackets may hold blanks.
    let (_, fields) = stat.rsplit_once(')').context("no name in /proc/PID/stat")?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = 0.0;
    for _ in 0..2 {
        ticks += fields
            .next()
            .context("/proc/PID/stat is short")?
            .parse::<f64>()?;
    }
    Ok(ticks / TICKS_PER_SECOND)
}

/// Resident memory in MB (10^6 bytes).
pub(crate) fn rss_mb(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let kib: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|rest| rest.split_whitespace().next())
        .context("no VmRSS in /proc/PID/status")?
        .parse()?;
    Ok(kib * 1024.0 / 1e6)
}

/// The name of the program a process runs now.
pub(crate) fn program(pid: u32) -> Result<String> {
    Ok(fs::read_to_string(format!("/proc/{pid}/comm"))?
        .trim()
        .to_owned())
}

/// Load average of the last minute.
pub(crate) fn load_average() -> String {
    fs::read_to_string("/proc/loadavg")
        .ok()
        .and_then(|text| text.split_whitespace().next().map(str::to_owned))
        .unwrap_or_else(|| "unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_own_memory_and_time() {
        let pid = std::process::id();
        assert!(rss_mb(pid).unwrap() > 0.5);
        assert!(cpu_seconds(pid).unwrap() >= 0.0);
        assert!(!program(pid).unwrap().is_empty());
    }
}
