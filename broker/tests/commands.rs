//! What the program does on this machine under upstream's names: formatting, starting, stopping.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(30);
const CLUSTER: &str = "MkU3OEVBNTcwNTJENDM2Qk";

/// A folder with the program under several names, as an image has it: a stop reaches only what was
/// started from here.
struct Installed {
    folder: tempfile::TempDir,
}

impl Installed {
    fn new() -> Installed {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let bin = folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        // A copy could not be run while a test beside this one starts a program: its descriptor for
        // writing would be open there.
        fs::hard_link(env!("CARGO_BIN_EXE_klamm"), bin.join("klamm")).unwrap();
        for name in [
            "kafka-storage.sh",
            "kafka-server-start.sh",
            "kafka-server-stop",
        ] {
            symlink("klamm", bin.join(name)).unwrap();
        }
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = socket.local_addr().unwrap().port();
        let properties = format!(
            "process.roles=broker,controller\nnode.id=7\n\
             controller.quorum.voters=7@localhost:9093\n\
             listeners=PLAINTEXT://127.0.0.1:{port}\nlog.dirs={}\n",
            folder.path().join("data").display()
        );
        fs::write(folder.path().join("server.properties"), properties).unwrap();
        Installed { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn command(&self, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(self.path("bin").join(name));
        command.args(words).current_dir(self.folder.path());
        command
            .env("LOG_DIR", self.path("logs"))
            .env_remove("SIGNAL");
        command
    }

    fn run(&self, name: &str, words: &[&str]) -> Output {
        self.command(name, words).output().unwrap()
    }

    fn meta(&self) -> String {
        fs::read_to_string(self.path("data/meta.properties")).unwrap()
    }

    fn daemon_log(&self) -> String {
        fs::read_to_string(self.path("logs/kafkaServer.out")).unwrap_or_default()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < DEADLINE, "{what} did not come");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

fn ended(mut child: Child) -> bool {
    let mut status = None;
    eventually("the end", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap().success()
}

#[test]
fn a_formatted_folder_starts_with_its_cluster_id_and_is_stopped() {
    let installed = Installed::new();
    let properties = "server.properties";
    let formatted = installed.run(
        "kafka-storage.sh",
        &["format", "-t", CLUSTER, "-c", properties],
    );
    assert!(formatted.status.success(), "{formatted:?}");
    let meta = installed.meta();
    assert!(meta.contains(&format!("cluster.id={CLUSTER}\n")), "{meta}");
    let server = installed
        .command(
            "kafka-server-start.sh",
            &[properties, "--override", "num.partitions=3"],
        )
        .stdout(fs::File::create(installed.path("out")).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("the start", || {
        let out = fs::read_to_string(installed.path("out")).unwrap();
        out.contains("Kafka Server started")
    });
    assert_eq!(installed.meta(), meta);
    let stop = |words: &[&str]| installed.run("kafka-server-stop", words);
    let none = stop(&["--node-id", "8"]);
    assert_eq!(text(&none.stdout), "No kafka server to stop\n");
    assert_eq!(none.status.code(), Some(1));
    let refused = stop(&["--node-id", "x"]);
    assert!(
        text(&refused.stderr).contains("expected a number"),
        "{refused:?}"
    );
    assert!(
        stop(&["--node-id=7", "--process-role=broker"])
            .status
            .success()
    );
    assert!(ended(server));
    assert_eq!(text(&stop(&[]).stdout), "No kafka server to stop\n");
}

#[test]
fn a_daemon_outlives_the_command_that_started_it() {
    let installed = Installed::new();
    let start = ["kafka-server-start", "-daemon", "server.properties"];
    let started = installed.run("klamm", &start);
    assert!(started.status.success(), "{started:?}");
    eventually("the start", || {
        installed.daemon_log().contains("Kafka Server started")
    });
    assert!(
        installed
            .run("klamm", &["kafka-server-stop"])
            .status
            .success()
    );
    eventually("the end", || {
        text(&installed.run("kafka-server-stop", &[]).stdout) == "No kafka server to stop\n"
    });
}

#[test]
fn a_start_without_a_file_prints_how_it_is_called() {
    let installed = Installed::new();
    for words in [&[][..], &["-daemon"], &["--help"]] {
        let refused = installed.run("kafka-server-start.sh", words);
        assert_eq!(refused.status.code(), Some(1));
        assert!(text(&refused.stderr).starts_with("USAGE: "), "{refused:?}");
    }
    let missing = installed.run("kafka-server-start.sh", &["nowhere.properties"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(
        text(&missing.stderr).contains("nowhere.properties"),
        "{missing:?}"
    );
}

#[test]
fn what_a_new_node_cannot_have_is_refused() {
    let installed = Installed::new();
    for (word, value, reason) in [
        (
            "--add-scram",
            "SCRAM-SHA-512=[name=a,password=b]",
            "SCRAM is not served yet",
        ),
        (
            "--release-version",
            "3.9",
            "metadata.version 3.9-IV0 is not served",
        ),
        (
            "--feature",
            "metadata.version=20",
            "metadata.version 3.8-IV0 is not served",
        ),
        (
            "--feature",
            "streams.version=1",
            "streams.version=1 is not served",
        ),
        (
            "--feature",
            "transaction.version=1",
            "set it with kafka-features",
        ),
        ("--feature", "group.version=0", "set it with kafka-features"),
        (
            "--feature",
            "group.version=2",
            "No feature:group.version with feature level 2",
        ),
    ] {
        let words = [
            "format",
            "-t",
            CLUSTER,
            "-c",
            "server.properties",
            word,
            value,
        ];
        let refused = installed.run("kafka-storage.sh", &words);
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(text(&refused.stderr).contains(reason), "{refused:?}");
        assert!(!installed.path("data").exists());
    }
}

#[test]
fn the_levels_of_a_new_cluster_may_be_named() {
    let installed = Installed::new();
    let mut words = vec!["format", "-t", CLUSTER, "-c", "server.properties"];
    words.extend(["-f", "group.version=1", "-f", "transaction.version=2"]);
    let formatted = installed.run("kafka-storage.sh", &words);
    assert!(formatted.status.success(), "{formatted:?}");
    let level = "FeatureLevelRecord(name='group.version', featureLevel=1)";
    assert!(text(&formatted.stdout).contains(level), "{formatted:?}");
    assert!(installed.path("data").exists());
}

#[test]
fn a_zookeeper_stays_and_does_nothing() {
    let installed = Installed::new();
    let mut stays = installed
        .command("klamm", &["zookeeper-server-start", "zookeeper.properties"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let out = stays.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
    assert!(line.contains("ZooKeeper"), "{line}");
    assert!(stays.try_wait().unwrap().is_none());
    stays.kill().unwrap();
    stays.wait().unwrap();
}

#[test]
fn the_names_of_the_tools_are_told() {
    let installed = Installed::new();
    let told = text(&installed.run("klamm", &["tools"]).stdout);
    let names: Vec<&str> = told.lines().collect();
    assert!(names.contains(&"kafka-storage"), "{told}");
    assert!(names.is_sorted(), "{told}");
    let unknown = installed.run("klamm", &["kafka-nonsense"]);
    assert_ne!(unknown.status.code(), Some(0));
}
