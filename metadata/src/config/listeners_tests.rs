use super::*;

fn protocols() -> BTreeMap<String, SecurityProtocol> {
    parse_protocol_map("PLAINTEXT:PLAINTEXT,SSL:SSL,IN-SIDE:PLAINTEXT").unwrap()
}

fn parsed(text: &str) -> Result<Vec<Listener>, ConfigError> {
    parse_listeners(LISTENERS, text, &protocols())
}

#[test]
fn a_listener_may_leave_out_its_host_or_write_it_in_brackets() {
    let listeners =
        parsed("PLAINTEXT://:9092,in-side://[::1]:0,SSL://a_b.example-1:65535").unwrap();
    let shown: Vec<(&str, Option<&str>, u16)> = listeners
        .iter()
        .map(|listener| {
            (
                listener.name.as_str(),
                listener.host.as_deref(),
                listener.port,
            )
        })
        .collect();
    let expected = [
        ("PLAINTEXT", None, 9092),
        ("IN-SIDE", Some("::1"), 0),
        ("SSL", Some("a_b.example-1"), 65535),
    ];
    assert_eq!(shown, expected);
    assert_eq!(listeners[2].security_protocol, SecurityProtocol::Ssl);
}

#[test]
fn a_refusal_names_key_value_and_what_was_expected() {
    let error = parsed("PLAINTEXT://:70000").unwrap_err();
    assert_eq!(error.key, "listeners");
    assert_eq!(error.value.as_deref(), Some("PLAINTEXT://:70000"));
    assert!(
        error.expected.contains("port out of range:70000"),
        "{error}"
    );
    let error = parse_protocol_map("A:PLAIN").unwrap_err();
    assert_eq!(error.key, "listener.security.protocol.map");
    assert_eq!(error.value.as_deref(), Some("A:PLAIN"));
}

#[test]
fn two_spellings_of_one_name_are_refused_in_the_map() {
    assert!(parse_protocol_map("A:PLAINTEXT,a:PLAINTEXT").is_err());
    assert_eq!(
        parse_protocol_map("A:SSL,A:PLAINTEXT,").unwrap()["A"],
        SecurityProtocol::Plaintext
    );
}

#[test]
fn an_address_has_a_host_and_a_port() {
    assert_eq!(host_and_port("h:1"), Some(("h", "1")));
    assert_eq!(host_and_port("[::1]:9092"), Some(("::1", "9092")));
    assert_eq!(host_and_port("PLAINTEXT://h:1"), Some(("h", "1")));
    for wrong in ["h", "h:", "h:x", "a b:1", "://x/:1"] {
        assert_eq!(host_and_port(wrong), None, "{wrong}");
    }
}

/// Testcontainers' module for .NET writes one.
#[test]
fn a_comma_at_the_end_counts_for_nothing() {
    assert_eq!(
        parsed("PLAINTEXT://:1,").unwrap(),
        parsed("PLAINTEXT://:1").unwrap()
    );
    assert!(parsed("PLAINTEXT://:1,,SSL://:2").is_err());
    assert!(parsed(",").is_err());
}
