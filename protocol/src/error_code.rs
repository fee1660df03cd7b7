//! Kafka's error codes as types.
//!
//! Invariant: success is `Ok`, never code 0, until a response is written.

pub use kafka_protocol::error::ResponseError as ErrorCode;
use kafka_protocol::protocol::StrBytes;

/// What stands on the wire for success.
pub const NONE: i16 = 0;

/// The code that stands on the wire for a result.
pub fn code_of(result: Result<(), ErrorCode>) -> i16 {
    match result {
        Ok(()) => NONE,
        Err(error) => error.code(),
    }
}

/// The longest text of the versions that count its bytes in 16 bits.
const TEXT_SIZE_MAX: usize = i16::MAX as usize;

/// A message as it goes on the wire: cut where it is too long, for a name out of a request, which
/// may be as long as a text can be, stands in some.
pub fn error_message(mut text: String) -> StrBytes {
    let mut size = text.len().min(TEXT_SIZE_MAX);
    while !text.is_char_boundary(size) {
        size -= 1;
    }
    text.truncate(size);
    StrBytes::from_string(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_is_cut_between_two_characters() {
        let text = format!("{}ö, and more", "x".repeat(TEXT_SIZE_MAX - 1));
        let message = error_message(text);
        assert_eq!(message.len(), TEXT_SIZE_MAX - 1);
        assert!(message.ends_with('x'));
        assert_eq!(error_message("short".to_owned()).as_str(), "short");
    }

    #[test]
    fn success_is_zero_and_an_error_its_code() {
        assert_eq!(code_of(Ok(())), 0);
        assert_eq!(code_of(Err(ErrorCode::CorruptMessage)), 2);
        assert_eq!(code_of(Err(ErrorCode::UnknownServerError)), -1);
    }
}
