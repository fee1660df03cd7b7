//! `kafka-acls`: shows, adds and removes ACLs.
//!
//! Invariant: whether there are ACLs at all is the broker's to say; without an authorizer it answers
//! SECURITY_DISABLED, and that is what is printed.

mod binding;
mod calls;
mod options;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use crate::client::{Client, Properties, block_on, load_properties};
use crate::failure::Failure;
use crate::options::Parsed;
use crate::print;
use crate::stop::{Stop, finish};
use binding::{Entry, Pattern};
use wanted::Wanted;

/// Runs the tool.
pub(crate) fn run(args: &[String]) -> ExitCode {
    let options = options::options();
    let parsed = match options.parse(args) {
        Ok(parsed) => parsed,
        Err(failure) => return Stop::Usage(failure.to_string()).end(&options, |_| {}),
    };
    let result = options::check(&options, args, &parsed).and_then(|()| execute(&parsed));
    finish(result, &options, |failure| {
        print::line(format!(
            "Error while executing ACL command: {failure}\n{}\n",
            failure.trace()
        ));
    })
}

fn execute(parsed: &Parsed) -> Result<(), Stop> {
    let properties = match parsed.value("command-config")? {
        Some(path) => load_properties(path)?,
        None => {
            if parsed.has("command-config") {
                print::line("Did not load any properties since the property file is not specified");
            }
            Properties::new()
        }
    };
    let client = match parsed.value("bootstrap-server")? {
        Some(servers) => Client::admin(servers, &properties)?,
        None => {
            let controllers = parsed.value("bootstrap-controller")?;
            Client::controller_admin(controllers.unwrap_or_default(), &properties)?
        }
    };
    block_on(async {
        if parsed.has("add") {
            add(&client, &wanted::to_add(parsed)?).await
        } else if parsed.has("remove") {
            remove(&client, parsed, &wanted::to_remove(parsed)?).await
        } else {
            list(&client, parsed).await
        }
    })
}

/// What `get` of a Java future throws for a failed call.
fn executed(failure: Failure) -> Failure {
    let message = failure.named();
    failure.within("java.util.concurrent.ExecutionException", message)
}

async fn add(client: &Client, wanted: &Wanted) -> Result<(), Stop> {
    for (resource, entries) in wanted {
        let there = calls::describe(client, Some(resource)).await;
        let there = there.map_err(executed)?;
        let mut new = Vec::new();
        for entry in entries {
            if there.contains(&(resource.clone(), entry.clone())) {
                print::line(format!(
                    "Acl (pattern={}, entry={}) already exists.",
                    resource.shown(),
                    entry.shown()
                ));
            } else {
                new.push(entry.clone());
            }
        }
        if new.is_empty() {
            continue;
        }
        print::line(format!(
            "Adding ACLs for resource `{}`: \n {}\n",
            resource.shown(),
            lines(&new)
        ));
        let created = calls::create(client, resource, &new).await;
        created.map_err(executed)?;
    }
    Ok(())
}

fn lines<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> String {
    let shown = entries
        .into_iter()
        .map(|entry| format!("\t{}", entry.shown()));
    shown.collect::<Vec<_>>().join("\n")
}

async fn remove(client: &Client, parsed: &Parsed, wanted: &Wanted) -> Result<(), Stop> {
    for (resource, entries) in wanted {
        let question = if entries.is_empty() {
            format!(
                "Are you sure you want to delete all ACLs for resource filter `{}`? (y/n)",
                resource.shown()
            )
        } else {
            format!(
                "Are you sure you want to remove ACLs: \n {}\n from resource filter `{}`? (y/n)",
                lines(entries),
                resource.shown()
            )
        };
        if parsed.has("force") || is_confirmed(&question)? {
            let entries: Vec<Entry> = entries.iter().cloned().collect();
            let deleted = calls::delete(client, resource, &entries).await;
            deleted.map_err(executed)?;
        }
    }
    Ok(())
}

fn is_confirmed(question: &str) -> Result<bool, Failure> {
    print::line(question);
    let stdin = std::io::stdin();
    // Upstream's tool fails there too: only who sits before a terminal can confirm.
    if !stdin.is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::new(
            "java.lang.NullPointerException",
            "there is no terminal to answer on; use --force to remove ACLs without a question",
        ));
    }
    let mut answer = String::new();
    let read = stdin.lock().read_line(&mut answer);
    Ok(read.is_ok()
        && answer
            .trim_end_matches(['\r', '\n'])
            .eq_ignore_ascii_case("y"))
}

async fn list(client: &Client, parsed: &Parsed) -> Result<(), Stop> {
    let filters = wanted::resources(parsed)?;
    let principals = parsed.values("principal").iter();
    let principals = principals
        .map(|text| binding::principal(text))
        .collect::<Result<BTreeSet<_>, _>>()?;
    let mut found: BTreeMap<Pattern, BTreeSet<Entry>> = BTreeMap::new();
    let asked: Vec<Option<&Pattern>> = match filters.len() {
        0 => vec![None],
        _ => filters.iter().map(Some).collect(),
    };
    for filter in asked {
        for (resource, entry) in calls::describe(client, filter).await.map_err(executed)? {
            found.entry(resource).or_default().insert(entry);
        }
    }
    if principals.is_empty() {
        show(&found, |_| true);
    }
    for principal in &principals {
        print::line(format!("ACLs for principal `{principal}`"));
        show(&found, |entry| entry.principal == *principal);
    }
    Ok(())
}

fn show(found: &BTreeMap<Pattern, BTreeSet<Entry>>, wanted: impl Fn(&Entry) -> bool) {
    for (resource, entries) in found {
        let entries: Vec<&Entry> = entries.iter().filter(|entry| wanted(entry)).collect();
        if entries.is_empty() {
            continue;
        }
        print::line(format!(
            "Current ACLs for resource `{}`:\n{}\n",
            resource.shown(),
            lines(entries)
        ));
    }
}
