//! The processes that are measured: a broker of either kind, or one of the bare loops.
//!
//! A process dies with its `Server`; its data folder belongs to the caller.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process;
use crate::wire::Connection;

/// How long a process may take until it answers.
const START_PATIENCE: Duration = Duration::from_secs(120);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Klamm,
    Upstream,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Klamm => "Klamm",
            Kind::Upstream => "upstream",
        }
    }
}

/// Where the programs are, and which cores they get.
pub(crate) struct Programs {
    pub(crate) klamm: PathBuf,
    pub(crate) upstream: PathBuf,
    /// Lists as taskset takes them: for starts and restarts, and while a load runs.
    pub(crate) start_cores: String,
    pub(crate) load_cores: String,
}

pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    /// When the program itself began: for upstream, after its data folder was formatted.
    pub(crate) started: Instant,
}

impl Server {
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Starts a broker over `folder`, which may hold data of an earlier one.
    pub(crate) fn broker(
        programs: &Programs,
        kind: Kind,
        cores: &str,
        folder: &Path,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let port = free_port()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = Command::new("taskset");
        command.arg("-c").arg(cores);
        match kind {
            Kind::Klamm => {
                command.arg(&programs.klamm).args(["server", "--override"]);
                command.arg(format!("listeners=PLAINTEXT://{address}"));
                command
                    .arg("--override")
                    .arg(format!("log.dirs={}", folder.join("data").display()));
            }
            Kind::Upstream => {
                command
                    .arg(&programs.upstream)
                    .arg("start")
                    .args(["--port", &port.to_string()]);
                // What upstream's own start script gives a broker.
                command.arg("--dir").arg(folder).env("HEAP", "1g");
            }
        }
        let log = File::create(folder.with_extension("log"))?;
        command
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let started = Instant::now();
        let child = command.spawn().context("taskset did not start")?;
        let mut server = Server {
            child,
            address,
            started,
        };
        if kind == Kind::Upstream {
            server.wait_for_program("java")?;
        }
        Ok(server)
    }

    /// Starts this program again as one of the bare loops; it prints its address.
    pub(crate) fn bare(programs: &Programs, name: &str, file: &Path) -> Result<Self> {
        let port = free_port()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let child = Command::new("taskset")
            .args(["-c", &programs.load_cores])
            .arg(std::env::current_exe()?)
            .args([name, "--address", &address.to_string(), "--file"])
            .arg(file)
            .stdin(Stdio::null())
            .spawn()
            .context("taskset did not start")?;
        Ok(Server {
            child,
            address,
            started: Instant::now(),
        })
    }

    /// The start script becomes the broker, under one process id: the clock begins there.
    fn wait_for_program(&mut self, name: &str) -> Result<()> {
        while process::program(self.pid())? != name {
            self.check_alive()?;
            std::thread::sleep(Duration::from_micros(500));
            self.started = Instant::now();
        }
        Ok(())
    }

    fn check_alive(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the process ended: {status}");
        }
        Ok(())
    }

    /// Connects as soon as somebody listens.
    pub(crate) fn connect(&mut self) -> Result<Connection> {
        while self.started.elapsed() < START_PATIENCE {
            if let Ok(connection) = Connection::open(self.address) {
                return Ok(connection);
            }
            self.check_alive()?;
            std::thread::sleep(Duration::from_micros(500));
        }
        bail!("nothing listens after {START_PATIENCE:?}")
    }

    /// Kills at once, as kill -9 does.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only where the process has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port with a free one after it, for upstream's controller.
fn free_port() -> Result<u16> {
    for _ in 0..100 {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no two free ports beside each other")
}
