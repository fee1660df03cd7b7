//! The names of environment variables as keys of server.properties, as upstream's images map them.
//!
//! Invariant: what a variable says ends up in the file as upstream would write it, one line each.

/// What the variables of upstream's images begin with.
const PREFIX: &str = "KAFKA_";

/// Variables that are for the Java machine, for logging or for the images' scripts.
const NOT_PROPERTIES: [&str; 13] = [
    "KAFKA_VERSION",
    "KAFKA_HOME",
    "KAFKA_HEAP_OPTS",
    "KAFKA_LOG4J_OPTS",
    "KAFKA_OPTS",
    "KAFKA_JMX_OPTS",
    "KAFKA_JMX_PORT",
    "KAFKA_JMX_HOSTNAME",
    "KAFKA_JVM_PERFORMANCE_OPTS",
    "KAFKA_GC_LOG_OPTS",
    "KAFKA_LOG4J_ROOT_LOGLEVEL",
    "KAFKA_LOG4J_LOGGERS",
    "KAFKA_TOOLS_LOG4J_LOGLEVEL",
];

/// Variables of the REST proxy that confluent-local starts beside the broker.
const REST_PREFIX: &str = "KAFKA_REST_";

/// The variables as lines of a properties file. A value stands there as it is: a backslash begins an
/// escape, as in upstream's images.
pub(super) fn properties_text(variables: impl Iterator<Item = (String, String)>) -> String {
    let lines = variables.filter_map(|(name, value)| Some(format!("{}={value}\n", key(&name)?)));
    lines.collect()
}

/// The key that a variable sets: `_` is a dot, `__` an underscore, `___` a hyphen. A hyphen in the
/// name, which bash keeps, stays one.
fn key(variable: &str) -> Option<String> {
    if NOT_PROPERTIES.contains(&variable) || variable.starts_with(REST_PREFIX) {
        return None;
    }
    let name = variable.strip_prefix(PREFIX)?;
    let dotted = name.to_lowercase().replace('_', ".");
    let key = dotted.replace("...", "-").replace("..", "_");
    (!key.is_empty()).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn underscores_become_dots_underscores_and_hyphens() {
        assert_eq!(key("KAFKA_LOG_DIRS").as_deref(), Some("log.dirs"));
        assert_eq!(
            key("KAFKA_VALID___PROPERTY__ALL_CASES").as_deref(),
            Some("valid-property_all.cases")
        );
        assert_eq!(
            key("KAFKA_KAFKA_VALID_PROPERTY").as_deref(),
            Some("kafka.valid.property")
        );
        assert_eq!(
            key("KAFKA_LISTENER_NAME_SECURE_SCRAM-SHA-512_SASL_JAAS_CONFIG").as_deref(),
            Some("listener.name.secure.scram-sha-512.sasl.jaas.config")
        );
    }

    #[test]
    fn variables_for_others_are_no_properties() {
        for name in NOT_PROPERTIES {
            assert_eq!(key(name), None, "{name}");
        }
        assert_eq!(key("KAFKA_REST_BOOTSTRAP_SERVERS"), None);
        assert_eq!(key("CLUSTER_ID"), None);
        assert_eq!(key("KAFKA_"), None);
    }

    #[test]
    fn each_variable_is_a_line() {
        let variables = [
            ("KAFKA_NODE_ID", "5"),
            ("PATH", "/bin"),
            ("KAFKA_A__B", "c=d"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(
            properties_text(variables.into_iter()),
            "node.id=5\na_b=c=d\n"
        );
    }
}
