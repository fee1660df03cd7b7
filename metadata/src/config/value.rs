//! Config values: text to value and back, exactly as Java reads and writes them.
//!
//! Invariant: what [`parse`] accepts, and the text [`Value::to_text`] gives back, is what upstream
//! accepts and shows: numbers and booleans with blanks around them, lists with blanks around
//! their commas.

use std::fmt;

/// The type of a config, by upstream's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConfigKind {
    Boolean,
    String,
    Int,
    Short,
    Long,
    Double,
    List,
    Class,
    Password,
}

impl ConfigKind {
    pub const ALL: [ConfigKind; 9] = [
        ConfigKind::Boolean,
        ConfigKind::String,
        ConfigKind::Int,
        ConfigKind::Short,
        ConfigKind::Long,
        ConfigKind::Double,
        ConfigKind::List,
        ConfigKind::Class,
        ConfigKind::Password,
    ];

    /// The name in upstream's messages.
    pub fn name(self) -> &'static str {
        match self {
            ConfigKind::Boolean => "BOOLEAN",
            ConfigKind::String => "STRING",
            ConfigKind::Int => "INT",
            ConfigKind::Short => "SHORT",
            ConfigKind::Long => "LONG",
            ConfigKind::Double => "DOUBLE",
            ConfigKind::List => "LIST",
            ConfigKind::Class => "CLASS",
            ConfigKind::Password => "PASSWORD",
        }
    }

    /// The number in DescribeConfigs; 0 stands for an unknown type.
    pub fn code(self) -> i8 {
        match self {
            ConfigKind::Boolean => 1,
            ConfigKind::String => 2,
            ConfigKind::Int => 3,
            ConfigKind::Short => 4,
            ConfigKind::Long => 5,
            ConfigKind::Double => 6,
            ConfigKind::List => 7,
            ConfigKind::Class => 8,
            ConfigKind::Password => 9,
        }
    }
}

/// A config's value after parsing. `Display` is how upstream's messages show it.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Boolean(bool),
    String(String),
    Int(i32),
    Short(i16),
    Long(i64),
    Double(f64),
    List(Vec<String>),
    Class(String),
    Password(String),
}

impl Value {
    /// The text that DescribeConfigs shows for this value. A password gives itself away here:
    /// whoever answers must leave it out.
    pub fn to_text(&self) -> String {
        match self {
            Value::List(items) => items.join(","),
            Value::Password(secret) => secret.clone(),
            Value::Boolean(_)
            | Value::String(_)
            | Value::Int(_)
            | Value::Short(_)
            | Value::Long(_)
            | Value::Double(_)
            | Value::Class(_) => self.to_string(),
        }
    }

    /// Numbers as upstream's range checks see them.
    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(f64::from(*number)),
            Value::Short(number) => Some(f64::from(*number)),
            // As in Java, a large long loses digits here; the limits are all small.
            #[expect(clippy::cast_precision_loss)]
            Value::Long(number) => Some(*number as f64),
            Value::Double(number) => Some(*number),
            Value::Boolean(_)
            | Value::String(_)
            | Value::List(_)
            | Value::Class(_)
            | Value::Password(_) => None,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Boolean(value) => write!(f, "{value}"),
            Value::String(text) | Value::Class(text) => f.write_str(text),
            Value::Int(number) => write!(f, "{number}"),
            Value::Short(number) => write!(f, "{number}"),
            Value::Long(number) => write!(f, "{number}"),
            Value::Double(number) => f.write_str(&java_double(*number)),
            Value::List(items) => write!(f, "[{}]", items.join(", ")),
            Value::Password(_) => f.write_str("[hidden]"),
        }
    }
}

/// Reads `text` as a `kind`; the error says what was expected, in upstream's words.
pub(super) fn parse(kind: ConfigKind, text: &str) -> Result<Value, String> {
    let trimmed = java_trim(text);
    let parsed = match kind {
        ConfigKind::Boolean if trimmed.eq_ignore_ascii_case("true") => Some(Value::Boolean(true)),
        ConfigKind::Boolean if trimmed.eq_ignore_ascii_case("false") => Some(Value::Boolean(false)),
        ConfigKind::Boolean => {
            return Err("Expected value to be either true or false".to_owned());
        }
        ConfigKind::String => Some(Value::String(trimmed.to_owned())),
        ConfigKind::Int => trimmed.parse().ok().map(Value::Int),
        ConfigKind::Short => trimmed.parse().ok().map(Value::Short),
        ConfigKind::Long => trimmed.parse().ok().map(Value::Long),
        ConfigKind::Double => parse_double(trimmed).map(Value::Double),
        ConfigKind::List => Some(Value::List(parse_list(trimmed))),
        // No class is ever loaded: the name is kept as it stands.
        ConfigKind::Class => Some(Value::Class(trimmed.to_owned())),
        ConfigKind::Password => Some(Value::Password(trimmed.to_owned())),
    };
    parsed.ok_or_else(|| format!("Not a number of type {}", kind.name()))
}

/// The items of a comma-separated list, without the blanks around commas. The empty text is the
/// empty list; `a,` ends with an empty item, which most lists refuse.
pub(super) fn parse_list(text: &str) -> Vec<String> {
    let trimmed = java_trim(text);
    if trimmed.is_empty() {
        return Vec::new();
    }
    let blank = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];
    trimmed
        .split(',')
        .map(|item| item.trim_matches(blank).to_owned())
        .collect()
}

/// Java's `String.trim`: everything up to the space character goes, and nothing else.
pub(super) fn java_trim(text: &str) -> &str {
    text.trim_matches(|c| c <= ' ')
}

fn parse_double(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let negative = text.starts_with('-');
    match unsigned {
        "NaN" => return Some(f64::NAN),
        "Infinity" if negative => return Some(f64::NEG_INFINITY),
        "Infinity" => return Some(f64::INFINITY),
        _ => {}
    }
    // Rust takes `inf`, `nan` and their like, Java does not; Java takes a type suffix.
    let digits = text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text);
    let number = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E');
    if digits.chars().all(number) {
        digits.parse().ok()
    } else {
        None
    }
}

/// Java's `Double.toString`.
fn java_double(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let size = number.abs();
    if size == 0.0 || (1e-3..1e7).contains(&size) {
        return format!("{number:?}");
    }
    let scientific = format!("{number:E}");
    match scientific.split_once('E') {
        Some((digits, exponent)) if !digits.contains('.') => format!("{digits}.0E{exponent}"),
        _ => scientific,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: ConfigKind, text: &str) -> Result<String, String> {
        parse(kind, text).map(|value| value.to_text())
    }

    #[test]
    fn numbers_may_have_blanks_around_them_and_nothing_else() {
        assert_eq!(parse(ConfigKind::Int, " 42\t"), Ok(Value::Int(42)));
        assert_eq!(parse(ConfigKind::Int, "+42"), Ok(Value::Int(42)));
        assert_eq!(parse(ConfigKind::Long, "-1"), Ok(Value::Long(-1)));
        for wrong in ["", "4 2", "1e3", "2147483648", "0x10", "\u{a0}1"] {
            assert_eq!(
                parse(ConfigKind::Int, wrong),
                Err("Not a number of type INT".to_owned())
            );
        }
        assert_eq!(
            parse(ConfigKind::Short, "32768"),
            Err("Not a number of type SHORT".to_owned())
        );
    }

    #[test]
    fn booleans_ignore_case() {
        assert_eq!(
            parse(ConfigKind::Boolean, " TRUE "),
            Ok(Value::Boolean(true))
        );
        assert_eq!(
            parse(ConfigKind::Boolean, "False"),
            Ok(Value::Boolean(false))
        );
        let refused = Err("Expected value to be either true or false".to_owned());
        assert_eq!(parse(ConfigKind::Boolean, "yes"), refused);
        assert_eq!(parse(ConfigKind::Boolean, ""), refused);
    }

    #[test]
    fn lists_drop_the_blanks_around_commas_and_keep_empty_items() {
        assert_eq!(parse_list(" a , b\t,c "), ["a", "b", "c"]);
        assert_eq!(parse_list("a b,c"), ["a b", "c"]);
        assert_eq!(parse_list("a,,b,"), ["a", "", "b", ""]);
        assert!(parse_list("  ").is_empty());
        assert_eq!(
            text(ConfigKind::List, "compact , delete"),
            Ok("compact,delete".to_owned())
        );
        assert_eq!(Value::List(parse_list("a,b")).to_string(), "[a, b]");
    }

    #[test]
    fn doubles_read_and_print_as_in_java() {
        let shown = [
            ("0.5", "0.5"),
            ("1", "1.0"),
            (".25", "0.25"),
            ("1e7", "1.0E7"),
            ("123456789", "1.23456789E8"),
            ("0.0001", "1.0E-4"),
            ("1.7976931348623157E308", "1.7976931348623157E308"),
            ("2d", "2.0"),
            ("-0", "-0.0"),
            ("Infinity", "Infinity"),
        ];
        for (given, expected) in shown {
            assert_eq!(
                text(ConfigKind::Double, given),
                Ok(expected.to_owned()),
                "{given}"
            );
        }
        for wrong in ["", "inf", "nan", "half", "1_0", "e"] {
            assert_eq!(
                text(ConfigKind::Double, wrong),
                Err("Not a number of type DOUBLE".to_owned())
            );
        }
    }

    #[test]
    fn a_password_does_not_show_itself_in_messages() {
        assert_eq!(Value::Password("secret".to_owned()).to_string(), "[hidden]");
    }

    #[test]
    fn every_kind_has_its_own_code() {
        let codes: Vec<i8> = ConfigKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}
