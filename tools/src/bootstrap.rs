//! The check of `--bootstrap-server` that some of upstream's tools make before they connect.
//!
//! Invariant: a refused list ends in the usage, with upstream's words in front.

use crate::stop::Stop;

/// Every entry of the list must have a port.
pub(crate) fn check(list: &str) -> Result<(), Stop> {
    if list.is_empty() {
        return Err(Stop::Usage(
            "Error while validating the bootstrap address\n".to_owned(),
        ));
    }
    let has_port = |entry: &str| {
        let port = entry.trim().rsplit_once(':').map(|(_, port)| port);
        port.is_some_and(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
    };
    if list.split(',').all(has_port) {
        return Ok(());
    }
    Err(Stop::Usage(
        "Please provide valid host:port like host1:9091,host2:9092\n".to_owned(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_the_list_has_a_port() {
        assert!(check("a:1,b:2").is_ok());
        for list in ["", "localhost", "a:1,b", "a:", "a:x"] {
            assert!(matches!(check(list), Err(Stop::Usage(_))), "{list}");
        }
    }
}
