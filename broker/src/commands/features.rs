//! The metadata versions and features of Kafka 4.3, as `kafka-storage` tells of them: what upstream
//! knows, whether this broker serves it or not.

/// A metadata version: its name and its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct MetadataVersion {
    pub(super) name: &'static str,
    pub(super) level: i16,
}

/// The level of the first row of [`NAMES`].
const FIRST_LEVEL: i16 = 7;
/// The newest level that is not for tests of Kafka itself.
pub(super) const LATEST: i16 = 30;

/// All metadata versions, the last of them unstable.
const NAMES: &[&str] = &[
    "3.3-IV3", "3.4-IV0", "3.5-IV0", "3.5-IV1", "3.5-IV2", "3.6-IV0", "3.6-IV1", "3.6-IV2",
    "3.7-IV0", "3.7-IV1", "3.7-IV2", "3.7-IV3", "3.7-IV4", "3.8-IV0", "3.9-IV0", "4.0-IV0",
    "4.0-IV1", "4.0-IV2", "4.0-IV3", "4.1-IV0", "4.1-IV1", "4.2-IV0", "4.2-IV1", "4.3-IV0",
    "4.4-IV0",
];

/// A feature beside the metadata version: its highest level, and from which metadata version on a
/// new cluster has it. In upstream's order.
pub(super) struct Feature {
    pub(super) name: &'static str,
    pub(super) max_level: i16,
    default_from: i16,
    /// A level above 0 wants this metadata version.
    pub(super) requires: Option<i16>,
}

pub(super) const FEATURES: &[Feature] = &[
    feature("kraft.version", 1, 21),
    feature("transaction.version", 2, 24),
    feature("group.version", 1, 22),
    Feature {
        requires: Some(23),
        ..feature("eligible.leader.replicas.version", 1, 26)
    },
    feature("share.version", 1, 28),
    feature("streams.version", 1, 29),
];

const fn feature(name: &'static str, max_level: i16, default_from: i16) -> Feature {
    Feature {
        name,
        max_level,
        default_from,
        requires: None,
    }
}

impl Feature {
    pub(super) fn default_level(&self, version: MetadataVersion) -> i16 {
        if version.level >= self.default_from {
            self.max_level
        } else {
            0
        }
    }
}

pub(super) fn feature_by_name(name: &str) -> Option<&'static Feature> {
    FEATURES.iter().find(|feature| feature.name == name)
}

fn all() -> impl DoubleEndedIterator<Item = MetadataVersion> {
    let levels = FIRST_LEVEL..;
    let count = NAMES.len();
    let named = levels.zip(NAMES).take(count);
    let versions: Vec<_> = named
        .map(|(level, name)| MetadataVersion { name, level })
        .collect();
    versions.into_iter()
}

impl MetadataVersion {
    pub(super) fn of_level(level: i16) -> Option<MetadataVersion> {
        all().find(|version| version.level == level)
    }

    /// `3.9-IV0` is that version; `3.9`, `3.9.1` are the newest of the release.
    pub(super) fn parse(text: &str) -> Option<MetadataVersion> {
        if let Some(exact) = all().find(|version| version.name == text) {
            return Some(exact);
        }
        let mut segments = text.split('.');
        let release = format!("{}.{}-IV", segments.next()?, segments.next()?);
        let stable = all().filter(|version| version.level <= LATEST);
        stable
            .rev()
            .find(|version| version.name.starts_with(&release))
    }

    /// The names up to a level, as an error lists them.
    pub(super) fn names(to: i16) -> String {
        let names = all().filter(|version| version.level <= to);
        names
            .map(|version| version.name)
            .collect::<Vec<_>>()
            .join(", ")
    }

    /// The newest that upstream knows, stable or not.
    pub(super) fn newest() -> i16 {
        all().next_back().map_or(LATEST, |version| version.level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_their_newest_stable_version() {
        let level = |text| MetadataVersion::parse(text).map(|version| version.level);
        assert_eq!(level("3.3"), Some(7));
        assert_eq!(level("3.9"), Some(21));
        assert_eq!(level("3.9.1"), Some(21));
        assert_eq!(level("4.0-IV1"), Some(23));
        assert_eq!(level("4.3"), Some(LATEST));
        assert_eq!(level("4.4-IV0"), Some(31));
        assert_eq!(level("4.4"), None);
        assert_eq!(level("4"), None);
        assert_eq!(level("3.2"), None);
    }
}
