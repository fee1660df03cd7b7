//! Which fields of which requests no mutation reaches: each field of each version must be sent
//! null, empty and at its limits somewhere, and this says where that is not so.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::case::CaseFile;
use crate::mutate::mutations;
use crate::path::matches;
use crate::schema::{Compared, Field, Schemas};

/// `API vN place` of every field without a mutation.
pub fn unprobed(files: &[CaseFile], schemas: &Schemas, compared: &Compared) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    for (name, versions) in &compared.versions {
        let api = schemas.api(name)?;
        for version in versions.low..=versions.high {
            let probed = probed(files, schemas, compared, name, version)?;
            let mut places = Vec::new();
            collect(&api.request.fields, version, "", &mut places);
            let places = places.into_iter().filter(|place| !probed.contains(place));
            missing.extend(places.map(|place| format!("{name} v{version} {place}")));
        }
    }
    Ok(missing)
}

fn probed(
    files: &[CaseFile],
    schemas: &Schemas,
    compared: &Compared,
    name: &str,
    version: i16,
) -> Result<BTreeSet<String>> {
    let mut places = BTreeSet::new();
    let api = schemas.api(name)?;
    for file in files.iter().filter(|file| file.api == name) {
        for scenario in file.scenarios.iter().filter(|scenario| scenario.mutate) {
            let Some(body) = &scenario.request else {
                continue;
            };
            if !scenario
                .versions(compared.versions_of(name)?)?
                .contains(&version)
            {
                continue;
            }
            for mutation in mutations(api, version, body) {
                let skipped = |pattern: &String| matches(pattern, &mutation.label);
                if scenario.skip.keys().any(skipped) {
                    continue;
                }
                let place = mutation.label.split('=').next().unwrap_or_default();
                places.insert(place.replace("[0]", ""));
            }
        }
    }
    Ok(places)
}

fn collect(fields: &[Field], version: i16, prefix: &str, places: &mut Vec<String>) {
    for field in fields
        .iter()
        .filter(|field| field.versions.contains(version))
    {
        let place = format!("{prefix}{}", field.name);
        if field.fields.is_empty() || matches!(field.ty, crate::schema::Type::Array(_)) {
            places.push(place.clone());
        }
        collect(&field.fields, version, &format!("{place}."), places);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::case;

    #[test]
    fn every_field_of_every_request_is_probed() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let files = case::load(&folder.join("cases")).unwrap();
        let schemas = Schemas::load().unwrap();
        let missing = unprobed(&files, &schemas, &Compared::load().unwrap()).unwrap();
        assert!(missing.is_empty(), "{missing:#?}");
    }
}
