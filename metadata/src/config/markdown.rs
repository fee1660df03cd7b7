//! `docs/configuration.md`, generated from the tables.
//!
//! Invariant: the document says nothing that the tables do not.

use std::fmt::Write;

use super::broker::SUBJECTS;
use super::def::{ConfigDef, Served};
use super::klamm::environment_variable;
use super::{
    CLIENT_METRICS_CONFIGS, DYNAMIC_ONLY_BROKER_CONFIGS, GROUP_CONFIGS, KLAMM_CONFIGS,
    TOPIC_CONFIGS,
};

const HEAD: &str = "\
# Configuration

Klamm takes the `server.properties` of Apache Kafka 4.3.1, with the same keys, types, limits and
defaults. A key that is *ignored* is accepted, checked and shown, but has no effect, for the reason
given. A key that is in none of these tables is warned about by name and has no effect.

Defaults are upstream's, but for a closed list of keys that get values of their own where they are
not set: `process.roles`, `node.id` and `controller.listener.names` (one node is a cluster),
`log.dirs`, `listeners`, `advertised.listeners`, and the replication factors and least in-sync
replicas of internal topics (no more than there are nodes).

A value is looked up in this order: the topic's or group's own, the broker's, the cluster default,
`server.properties`, the table's default. *Update* says how a broker's key can change: `read-only`
at the next start, `per-broker` at run time for one broker, `cluster-wide` at run time for one or
for all. Keys of topics, groups and client metrics can change at any time.

This page is generated from the tables in `metadata/src/config`: do not edit it, run
`REWRITE=1 cargo test --release -p metadata`.
";

const KLAMM_HEAD: &str = "
## Klamm's own keys

Upstream has none of these. They stand in the same file, or in an environment variable of
`klamm server`, which counts before the file; `--override` counts before both. No client ever sees
them. What they do is told in [admin.md](admin.md).

| Name | Environment | Type | Default | Meaning |
|---|---|---|---|---|
";

/// The whole document.
pub fn configuration_markdown() -> String {
    let mut page = HEAD.to_owned();
    section(&mut page, "Topics", TOPIC_CONFIGS, Columns::Synonym);
    for (title, rows) in SUBJECTS {
        section(
            &mut page,
            &format!("server.properties: {title}"),
            rows,
            Columns::Update,
        );
    }
    let title = "Brokers: only at run time";
    section(
        &mut page,
        title,
        DYNAMIC_ONLY_BROKER_CONFIGS,
        Columns::Update,
    );
    section(&mut page, "Groups", GROUP_CONFIGS, Columns::Synonym);
    section(
        &mut page,
        "Client metrics",
        CLIENT_METRICS_CONFIGS,
        Columns::Synonym,
    );
    klamm(&mut page);
    page
}

/// The keys that upstream has not.
fn klamm(page: &mut String) {
    page.push_str(KLAMM_HEAD);
    for def in KLAMM_CONFIGS {
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| `{}` | `{}` | {} | {} | {} |",
            def.name,
            environment_variable(def.name),
            def.kind.name().to_lowercase(),
            default(def),
            def.doc()
        );
    }
}

/// The column that differs: topics and groups have a key of the broker behind theirs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Columns {
    Update,
    Synonym,
}

fn section(page: &mut String, title: &str, rows: &[ConfigDef], columns: Columns) {
    let column = match columns {
        Columns::Update => "Update",
        Columns::Synonym => "Broker's key",
    };
    page.push_str(&format!(
        "\n## {title}\n\n| Name | Type | Default | Valid | {column} | Read | Meaning |\n\
         |---|---|---|---|---|---|---|\n"
    ));
    for def in rows.iter().filter(|def| !def.internal) {
        row(page, def, columns);
    }
}

fn row(page: &mut String, def: &ConfigDef, columns: Columns) {
    let default = default(def);
    let column = match columns {
        Columns::Update => def.update.name().to_owned(),
        Columns::Synonym => {
            let names: Vec<String> = def
                .synonyms
                .iter()
                .map(|synonym| format!("`{}`", synonym.name))
                .collect();
            names.join(", ")
        }
    };
    let served = match def.served {
        Served::Honoured => "yes".to_owned(),
        Served::Ignored(reason) => format!("ignored: {reason}"),
    };
    let kind = def.kind.name().to_lowercase();
    // Writing to a String cannot fail.
    let _ = writeln!(
        page,
        "| `{}` | {kind} | {default} | {} | {column} | {served} | {} |",
        def.name,
        code(&def.valid.to_string()),
        def.doc()
    );
}

fn default(def: &ConfigDef) -> String {
    match (def.default, def.required) {
        (Some(""), _) => "empty".to_owned(),
        (Some(text), _) => code(text),
        (None, true) => "must be set".to_owned(),
        (None, false) => "none".to_owned(),
    }
}

/// Text as it stands, where there is any.
fn code(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("`{text}`")
    }
}
