//! The whole controller on real files: answers, restarts, crashes, full disks.

mod crash;
mod disk;
mod harness;
mod history;
mod running;
