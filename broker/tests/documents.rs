//! `docs/compatibility.md` says what the API table says.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fmt::Write as _;
use std::path::Path;

use klamm::APIS;

const BEGIN: &str =
    "<!-- generated from the API table: REWRITE=1 cargo test -p klamm --test documents -->\n";
const BEGIN_DIFFERENCES: &str =
    "<!-- generated from compat-tests/differences.json, by the same test -->\n";
const END: &str = "<!-- end of the generated part -->\n";

fn table() -> String {
    let mut table = String::from("| key | API | versions |\n|---|---|---|\n");
    for api in APIS {
        let range = |versions: &std::ops::RangeInclusive<i16>| {
            format!("{} to {}", versions.start(), versions.end())
        };
        write!(
            table,
            "| {} | {} | {}",
            api.key,
            api.name,
            range(&api.advertised)
        )
        .unwrap();
        if api.served != api.advertised {
            write!(table, ", served {}", range(&api.served)).unwrap();
        }
        table.push_str(" |\n");
    }
    writeln!(table, "\n{} APIs.", APIS.len()).unwrap();
    table
}

/// The list that the wire comparison reads, for people.
fn differences() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compat-tests/differences.json");
    let rows: Vec<serde_json::Value> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut table =
        String::from("| cases | place | upstream | why it differs here |\n|---|---|---|---|\n");
    for row in &rows {
        let cell = |name: &str| {
            let text = match row.get(name) {
                None => String::new(),
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            let text = text.replace('|', "\\|").replace('*', "\\*");
            match text.char_indices().nth(120) {
                Some((end, _)) => format!("{} …", &text[..end]),
                None => text,
            }
        };
        let why = row["why"].as_str().unwrap().replace('|', "\\|");
        let cells = format!(
            "| {} | {} | {} | {why} |",
            cell("case"),
            cell("place"),
            cell("upstream")
        );
        writeln!(table, "{cells}").unwrap();
    }
    writeln!(table, "\n{} rows.", rows.len()).unwrap();
    table
}

fn with_part(page: &str, begin: &str, part: &str) -> String {
    let (before, rest) = page.split_once(begin).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    format!("{before}{begin}{part}{END}{after}")
}

#[test]
fn the_compatibility_page_lists_the_api_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/compatibility.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let fresh = with_part(&page, BEGIN, &table());
    let fresh = with_part(&fresh, BEGIN_DIFFERENCES, &differences());
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(&path, &fresh).unwrap();
        return;
    }
    assert_eq!(
        page, fresh,
        "docs/compatibility.md is stale: run this test with REWRITE=1"
    );
}
