//! The whole controller on real files: answers, restarts, crashes, full disks.

mod crash;
mod full_disk;
mod harness;
mod running;
