//! What a process takes of the machine, as the kernel counts it.

use std::time::Duration;

/// Ticks of the counters in `/proc/<pid>/stat`: 100 a second on every Linux that we know.
const TICK: Duration = Duration::from_millis(10);

/// Memory in bytes that a process holds at the moment.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmRSS:"))
        .unwrap();
    let kibibytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kibibytes * 1024
}

/// Processor time that a process has used.
pub(crate) fn cpu_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name of the program stands in brackets and may hold anything.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let ticks = |at: usize| -> u32 { fields.split_whitespace().nth(at).unwrap().parse().unwrap() };
    TICK * (ticks(11) + ticks(12))
}

pub(crate) fn open_files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count()
}
