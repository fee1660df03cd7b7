//! `docs/compatibility.md` says what the API table, the runs and the manifests of the clients say.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use klamm::APIS;
use serde_json::Value;

const END: &str = "<!-- end of the generated part -->\n";

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn text(path: &str) -> String {
    std::fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn json(path: &str) -> Value {
    serde_json::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn number(value: &Value, name: &str) -> u64 {
    value[name]
        .as_u64()
        .unwrap_or_else(|| panic!("no number {name} in {value}"))
}

/// With a mark between thousands.
fn grouped(number: u64) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", grouped(number / 1000), number % 1000),
    }
}

fn totals(wire: &Value) -> String {
    let [cases, listed, failing] = ["cases", "listed", "failing"].map(|name| number(wire, name));
    let different = number(wire, "different");
    assert_eq!(different, 0, "the figures are those of a run that failed");
    format!(
        "Of {} requests in {} APIs, upstream answers {} and fails in {} (UNKNOWN_SERVER_ERROR, or no \
         answer at all), where Klamm names the fault. Of those that upstream answers, {} are answered exactly \
         the same; {} ({:.2} %) differ for a reason that is written below; none differs without one. With \
         upstream's failures {:.2} % differ.\n",
        grouped(cases),
        APIS.len(),
        grouped(cases - failing),
        grouped(failing),
        grouped(cases - failing - listed),
        grouped(listed),
        100.0 * listed as f64 / (cases - failing) as f64,
        100.0 * (listed + failing) as f64 / cases as f64
    )
}

/// The API table, with the counts of the run for each version.
fn table(wire: &Value) -> String {
    let mut counts: BTreeMap<(&str, i64), &Value> = BTreeMap::new();
    for row in wire["counts"].as_array().unwrap() {
        counts.insert(
            (
                row["api"].as_str().unwrap(),
                row["version"].as_i64().unwrap(),
            ),
            row,
        );
    }
    let mut table = String::from(
        "| key | API | versions | cases | the same | by version: the same of all |\n|---|---|---|---|---|---|\n",
    );
    for api in APIS {
        let name = api.name.to_string();
        let mut versions = format!("{} to {}", api.advertised.start(), api.advertised.end());
        if api.served != api.advertised {
            write!(
                versions,
                ", served {} to {}",
                api.served.start(),
                api.served.end()
            )
            .unwrap();
        }
        let (mut cases, mut same, mut each) = (0, 0, Vec::new());
        for version in api.served.clone() {
            let row = counts.get(&(name.as_str(), i64::from(version)));
            let row = row.unwrap_or_else(|| panic!("{name} v{version} is in no case"));
            let listed = number(row, "listed") + number(row, "failing");
            let all = number(row, "same") + listed;
            cases += all;
            same += number(row, "same");
            each.push(if listed == 0 {
                format!("v{version} {all}")
            } else {
                format!("v{version} {}/{all}", number(row, "same"))
            });
        }
        let each = each.join(", ");
        let (cases, same) = (grouped(cases), grouped(same));
        writeln!(
            table,
            "| {} | {name} | {versions} | {cases} | {same} | {each} |",
            api.key
        )
        .unwrap();
    }
    writeln!(table, "\n{} APIs.", APIS.len()).unwrap();
    table
}

/// The list that the wire comparison reads, for people: rows that differ in the place alone are one.
fn differences(wire: &Value) -> String {
    let list = json("compat-tests/differences.json");
    let rows = wire["rows"].as_array().unwrap();
    let counted: Vec<&str> = rows
        .iter()
        .map(|row| row["place"].as_str().unwrap())
        .collect();
    let listed = list.as_array().unwrap().iter();
    let listed: Vec<&str> = listed.map(|row| row["place"].as_str().unwrap()).collect();
    assert_eq!(
        counted, listed,
        "the figures are those of another list: run scripts/test wire --write-results"
    );
    let mut merged: Vec<(&str, &str, Vec<&str>, u64)> = Vec::new();
    for row in rows {
        let [case, why, place] = ["case", "why", "place"].map(|name| row[name].as_str().unwrap());
        let cases = number(row, "cases");
        match merged.iter_mut().find(|one| (one.0, one.1) == (case, why)) {
            Some(one) => {
                one.2.push(place);
                one.3 = one.3.max(cases);
            }
            None => merged.push((case, why, vec![place], cases)),
        }
    }
    let mut table =
        String::from("| requests | cases | fields | why it differs here |\n|---|---|---|---|\n");
    let escaped = |text: &str| text.replace('|', "\\|").replace('*', "\\*");
    for (case, why, places, cases) in &merged {
        let mut fields: Vec<&str> = Vec::new();
        for place in places {
            let field = place
                .rsplit(['.', ']'])
                .find(|part| !part.is_empty())
                .unwrap_or("the answer");
            let field = if field.starts_with("[0") {
                "the answer"
            } else {
                field
            };
            if !fields.contains(&field) {
                fields.push(field);
            }
        }
        let fields = fields.join(", ");
        writeln!(
            table,
            "| {} | {cases} | {} | {} |",
            escaped(case),
            escaped(&fields),
            escaped(why)
        )
        .unwrap();
    }
    writeln!(
        table,
        "\n{} rows. A case may show differences of more than one.",
        merged.len()
    )
    .unwrap();
    table
}

/// The clients that are run, with the versions that their manifests pin.
fn clients() -> String {
    let mut table = String::from("| client | version |\n|---|---|\n");
    let mut row = |name: &str, version: &str| writeln!(table, "| {name} | {version} |").unwrap();
    row(
        "Java: kafka-clients, Kafka Streams, the command-line tools",
        "4.3.1",
    );
    let run = text("compat-tests/clients/run");
    row(
        "Java: kafka-clients, with transactions as before 4.0",
        run.lines()
            .find_map(|line| line.strip_prefix("old_clients="))
            .unwrap(),
    );
    for line in text("compat-tests/clients/python/requirements.txt").lines() {
        if let Some((name, version)) = line.split_once("==")
            && name.contains("kafka")
        {
            row(&format!("Python: {name}"), version);
        }
    }
    for line in text("compat-tests/clients/go/go.mod").lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [name, version] = words.as_slice()
            && name.starts_with("github.com/")
        {
            row(
                &format!("Go: {}", name.trim_start_matches("github.com/")),
                version.trim_start_matches('v'),
            );
        }
    }
    let node = json("compat-tests/clients/node/package.json");
    row(
        "Node: kafkajs",
        node["dependencies"]["kafkajs"].as_str().unwrap(),
    );
    let lock = text("Cargo.lock");
    for name in ["rdkafka", "rdkafka-sys"] {
        let after = lock
            .split_once(&format!("name = \"{name}\"\nversion = \""))
            .unwrap()
            .1;
        row(&format!("Rust: {name}"), after.split('"').next().unwrap());
    }
    row("kcat", "as Debian ships it (1.7, librdkafka 2.0)");
    table
}

fn with_part(page: &str, name: &str, part: &str) -> String {
    let begin =
        format!("<!-- generated, {name}: REWRITE=1 cargo test -p klamm --test documents -->\n");
    let (before, rest) = page
        .split_once(&begin)
        .unwrap_or_else(|| panic!("no part {name}"));
    let (_, after) = rest.split_once(END).unwrap();
    format!("{before}{begin}{part}{END}{after}")
}

#[test]
fn the_compatibility_page_says_what_was_run() {
    let page = text("docs/compatibility.md");
    let wire = json("compat-tests/results/wire.json");
    let mut fresh = page.clone();
    for (name, part) in [
        ("totals", totals(&wire)),
        ("APIs", table(&wire)),
        ("differences", differences(&wire)),
        ("clients", clients()),
    ] {
        fresh = with_part(&fresh, name, &part);
    }
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(file("docs/compatibility.md"), &fresh).unwrap();
        return;
    }
    assert_eq!(
        page, fresh,
        "docs/compatibility.md is stale: run this test with REWRITE=1"
    );
}

#[test]
fn the_figures_are_those_of_the_cases_there_are() {
    let floor: u64 = text("compat-tests/floor").trim().parse().unwrap();
    let wire = json("compat-tests/results/wire.json");
    assert_eq!(
        number(&wire, "cases"),
        floor,
        "run compat-tests check --write-results"
    );
    assert!(
        number(&wire, "listed") * 100 <= floor - number(&wire, "failing"),
        "too much is on the list of differences"
    );
}
