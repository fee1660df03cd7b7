//! What went wrong in a tool, as upstream's tools would say it.
//!
//! Invariant: a failure has the class and the text of the exception that upstream's tool would show;
//! it is built where the fact is known.

use std::borrow::Cow;
use std::fmt;

use protocol::ErrorCode;

use crate::exceptions::exception;

/// The package of the exceptions that error codes become.
const ERRORS: &str = "org.apache.kafka.common.errors.";

/// An exception by upstream's name, with its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    class: Cow<'static, str>,
    message: String,
    code: Option<ErrorCode>,
    retriable: bool,
    cause: Option<Box<Failure>>,
}

impl Failure {
    /// An exception by its full name in Java.
    pub fn new(class: &'static str, message: impl Into<String>) -> Self {
        Failure {
            class: Cow::Borrowed(class),
            message: message.into(),
            code: None,
            retriable: false,
            cause: None,
        }
    }

    /// What a broker answered. Its own text counts; the code's text stands where it sent none.
    pub fn of(code: ErrorCode, message: Option<&str>) -> Self {
        let row = exception(code);
        Failure {
            class: Cow::Owned(format!("{ERRORS}{}", row.class)),
            message: message.unwrap_or(row.message).to_owned(),
            code: Some(code),
            retriable: row.retriable,
            cause: None,
        }
    }

    /// As `of`, from the two fields of an answer: none when the code is that of success.
    pub fn from_answer(code: i16, message: Option<&str>) -> Option<Self> {
        ErrorCode::try_from_code(code).map(|code| Failure::of(code, message))
    }

    /// An option's value or combination that the tool refuses.
    pub fn illegal_argument(message: impl Into<String>) -> Self {
        Failure::new("java.lang.IllegalArgumentException", message)
    }

    /// Nobody answered in time.
    pub fn timed_out(message: impl Into<String>) -> Self {
        let mut failure = Failure::of(ErrorCode::RequestTimedOut, None);
        failure.message = message.into();
        failure.retriable = false;
        failure
    }

    /// A connection that ended before its answer came.
    pub fn disconnected() -> Self {
        Failure::of(ErrorCode::NetworkException, None)
    }

    /// What a broker of that version cannot do.
    pub fn unsupported(message: impl Into<String>) -> Self {
        let mut failure = Failure::of(ErrorCode::UnsupportedVersion, None);
        failure.message = message.into();
        failure
    }

    /// This as the cause of another exception, which hides its text from `getMessage`.
    #[must_use]
    pub fn within(self, class: &'static str, message: impl Into<String>) -> Self {
        let mut outer = Failure::new(class, message);
        outer.cause = Some(Box::new(self));
        outer
    }

    /// The same, which no client asks for again.
    #[must_use]
    pub fn not_retried(mut self) -> Self {
        self.retriable = false;
        self
    }

    /// The same, which a client asks for again.
    #[must_use]
    pub fn retried(mut self) -> Self {
        self.retriable = true;
        self
    }

    /// The code a broker answered with, if it was one.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        self.code
    }

    #[must_use]
    pub fn is(&self, code: ErrorCode) -> bool {
        self.code == Some(code)
    }

    /// Whether asking again may help.
    #[must_use]
    pub fn is_retriable(&self) -> bool {
        self.retriable
    }

    /// The exception's full name in Java.
    #[must_use]
    pub fn class(&self) -> &str {
        &self.class
    }

    /// As Java's `toString`: the class, then the text.
    #[must_use]
    pub fn named(&self) -> String {
        format!("{}: {}", self.class, self.message)
    }

    /// As Java's stack trace, without the frames.
    #[must_use]
    pub fn trace(&self) -> String {
        match &self.cause {
            Some(cause) => format!("{}\nCaused by: {}", self.named(), cause.trace()),
            None => self.named(),
        }
    }
}

/// As Java's `getMessage`.
impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_behind_what_it_caused() {
        let failure = Failure::illegal_argument("no port").within("a.B", "Failed to connect");
        assert_eq!(failure.to_string(), "Failed to connect");
        assert_eq!(
            failure.trace(),
            "a.B: Failed to connect\nCaused by: java.lang.IllegalArgumentException: no port"
        );
    }

    #[test]
    fn an_answer_keeps_the_brokers_text_and_else_has_the_codes() {
        let own = Failure::from_answer(36, Some("Topic 'a' already exists.")).unwrap();
        assert_eq!(
            own.named(),
            "org.apache.kafka.common.errors.TopicExistsException: Topic 'a' already exists."
        );
        let none = Failure::from_answer(3, None).unwrap();
        assert_eq!(
            none.to_string(),
            "This server does not host this topic-partition."
        );
        assert!(none.is_retriable() && !own.is_retriable());
        assert_eq!(Failure::from_answer(0, None), None);
    }
}
