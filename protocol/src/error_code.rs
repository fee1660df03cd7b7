//! Kafka's error codes as types.
//!
//! Invariant: success is `Ok`, never code 0, until a response is written.

pub use kafka_protocol::error::ResponseError as ErrorCode;

/// What stands on the wire for success.
pub const NONE: i16 = 0;

/// The code that stands on the wire for a result.
pub fn code_of(result: Result<(), ErrorCode>) -> i16 {
    match result {
        Ok(()) => NONE,
        Err(error) => error.code(),
    }
}

/// What a code from the wire means. A code that is not known keeps its number.
pub fn result_of(code: i16) -> Result<(), ErrorCode> {
    ErrorCode::try_from_code(code).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back() {
        for code in -1..=200 {
            assert_eq!(code_of(result_of(code)), code);
        }
        assert_eq!(result_of(0), Ok(()));
        assert_eq!(result_of(2), Err(ErrorCode::CorruptMessage));
        assert_eq!(result_of(30_000), Err(ErrorCode::Unknown(30_000)));
    }
}
