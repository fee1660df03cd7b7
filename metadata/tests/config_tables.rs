//! The config tables against what upstream itself knows (`fixtures/upstream-configs.tsv`).

use metadata::config::{
    BROKER_CONFIGS, BrokerConfig, CLIENT_METRICS_CONFIGS, ConfigDef, DYNAMIC_ONLY_BROKER_CONFIGS,
    GROUP_CONFIGS, GroupConfig, KLAMM_CONFIGS, KlammConfig, Served, TOPIC_CONFIGS, TopicConfig,
    UpdateMode, configuration_markdown, find, find_broker_config, group_bound_keys,
    parse_listeners, parse_protocol_map,
};

const UPSTREAM: &str = include_str!("fixtures/upstream-configs.tsv");

fn tables() -> [(&'static str, &'static [ConfigDef]); 5] {
    [
        ("broker", BROKER_CONFIGS),
        ("broker-dynamic", DYNAMIC_ONLY_BROKER_CONFIGS),
        ("topic", TOPIC_CONFIGS),
        ("group", GROUP_CONFIGS),
        ("client-metrics", CLIENT_METRICS_CONFIGS),
    ]
}

fn row(table: &str, def: &ConfigDef) -> String {
    let default = match def.default {
        Some(text) => text,
        None if def.required => "<none>",
        None => "<null>",
    };
    let mode = if table.starts_with("broker") {
        def.update.name()
    } else {
        "-"
    };
    let internal = def.internal.to_string();
    let valid = def.valid.to_string();
    [
        table,
        def.name,
        def.kind.name(),
        default,
        &valid,
        &internal,
        mode,
    ]
    .join("\t")
}

#[test]
fn every_row_is_upstreams() {
    let upstream: Vec<&str> = UPSTREAM
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    let ours: Vec<String> = tables()
        .into_iter()
        .flat_map(|(table, rows)| rows.iter().map(move |def| row(table, def)))
        .collect();
    for (ours, upstream) in ours.iter().zip(&upstream) {
        assert_eq!(ours, upstream);
    }
    assert_eq!(ours.len(), upstream.len());
}

#[test]
fn every_default_passes_its_own_check() {
    for (table, rows) in tables() {
        for def in rows.iter().filter(|def| !def.required) {
            let value = def
                .default_value()
                .unwrap_or_else(|error| panic!("{table}: {error}"));
            def.valid.check(def.name, value.as_ref()).unwrap();
            let text = value.map(|value| value.to_text());
            assert_eq!(text.as_deref(), def.default, "{table} {}", def.name);
        }
    }
}

#[test]
fn a_topics_default_is_that_of_the_brokers_keys() {
    for def in TOPIC_CONFIGS
        .iter()
        .chain(GROUP_CONFIGS)
        .filter(|def| !def.synonyms.is_empty())
    {
        let default = def.synonyms.iter().find_map(|synonym| {
            let text = find_broker_config(synonym.name)
                .expect(synonym.name)
                .default?;
            Some(synonym.convert(text))
        });
        assert_eq!(default.as_deref(), def.default, "{}", def.name);
    }
}

/// What is ours is marked by its name and stands in none of upstream's tables.
#[test]
fn keys_of_our_own_are_a_table_apart() {
    for def in KLAMM_CONFIGS {
        assert!(def.name.starts_with("klamm."), "{}", def.name);
        assert!(def.update == UpdateMode::ReadOnly && def.synonyms.is_empty());
        def.default_value().unwrap();
        for (table, rows) in tables() {
            assert!(find(rows, def.name).is_none(), "{table} {}", def.name);
        }
    }
    for (table, rows) in tables() {
        let ours = rows.iter().find(|def| def.name.starts_with("klamm."));
        assert!(ours.is_none(), "{table}");
    }
}

/// A row without a reader would promise what nothing does, and a reader of an ignored row would
/// make the document wrong.
#[test]
fn a_row_is_honoured_exactly_when_code_reads_it() {
    let honoured = |rows: &'static [ConfigDef]| {
        let mut names: Vec<&str> = rows
            .iter()
            .filter(|def| def.served == Served::Honoured)
            .map(|def| def.name)
            .collect();
        names.sort_unstable();
        names
    };
    let mut topic = TopicConfig::KEYS.to_vec();
    topic.sort_unstable();
    assert_eq!(honoured(TOPIC_CONFIGS), topic);

    let behind_topics = TOPIC_CONFIGS
        .iter()
        .filter(|def| def.served == Served::Honoured)
        .flat_map(|def| def.synonyms.iter().map(|synonym| synonym.name));
    let behind_groups = GROUP_CONFIGS
        .iter()
        .filter(|def| def.served == Served::Honoured)
        .flat_map(|def| def.synonyms.iter().map(|synonym| synonym.name));
    let mut broker: Vec<&str> = BrokerConfig::KEYS
        .iter()
        .copied()
        .chain(behind_topics)
        .chain(behind_groups)
        .chain(group_bound_keys().filter(|key| !key.starts_with("group.streams.")))
        .collect();
    broker.sort_unstable();
    broker.dedup();
    assert_eq!(honoured(BROKER_CONFIGS), broker);

    let mut klamm = KlammConfig::KEYS.to_vec();
    klamm.sort_unstable();
    assert_eq!(honoured(KLAMM_CONFIGS), klamm);

    let mut group: Vec<&str> = GROUP_CONFIGS.iter().map(|def| def.name).collect();
    group.sort_unstable();
    let mut read = GroupConfig::KEYS.to_vec();
    read.sort_unstable();
    assert_eq!(read, group);
    read.retain(|key| !key.starts_with("streams."));
    assert_eq!(honoured(GROUP_CONFIGS), read);
}

#[test]
fn every_row_has_a_sentence_of_its_own() {
    for (table, rows) in tables() {
        for def in rows {
            let doc = def.doc();
            let capital = doc.starts_with(|c: char| c.is_ascii_uppercase());
            assert!(capital && doc.ends_with('.'), "{table} {}: {doc}", def.name);
            assert!(!doc.contains('|'), "{doc}");
        }
        let mut names: Vec<&str> = rows.iter().map(|def| def.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), rows.len(), "{table}");
    }
}

#[test]
fn the_document_is_made_from_the_tables() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/configuration.md");
    let page = configuration_markdown();
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(path, &page).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        written == page,
        "docs/configuration.md is stale; REWRITE=1 cargo test --release -p metadata rewrites it"
    );
}

/// Whatever stands in a file or comes over the wire is taken or refused.
#[test]
fn no_text_makes_a_check_panic() {
    let long = "9".repeat(40_000);
    let texts = [
        "",
        " ",
        ",",
        ",,",
        ":",
        "://",
        "@",
        "@@",
        "1@",
        "[",
        "]",
        "[]:",
        "://[]:",
        "-",
        "+",
        "P",
        "PT",
        "by_duration:",
        "by_duration:P\u{e9}T",
        "\u{0}",
        "\u{1f600}://\u{1f600}:1",
        "\u{a0}",
        "1e999",
        "-1e999",
        "NaN",
        "0x1p3",
        "A://h:99999999999999999999",
        "a:b:c",
        "*",
        "*,*",
        "=",
        "i\u{307}:SSL",
        "\u{130}://:1",
        long.as_str(),
    ];
    for (table, rows) in tables() {
        for def in rows {
            for text in texts {
                if let Err(error) = def.parse(text) {
                    assert_eq!(error.key, def.name, "{table}");
                    assert!(!error.to_string().is_empty());
                }
            }
        }
    }
    for text in texts {
        if let Ok(protocols) = parse_protocol_map(text) {
            let _ = parse_listeners("listeners", text, &protocols);
        }
        let protocols = parse_protocol_map("PLAINTEXT:PLAINTEXT").unwrap();
        for key in ["listeners", "advertised.listeners"] {
            let result = parse_listeners(key, text, &protocols);
            assert!(result.is_err(), "{text}");
        }
    }
}
