//! Kafka's own deserializers, by the names of their classes, and what Java prints of their results.
//!
//! Invariant: bytes that a deserializer of Java refuses are refused in its words.

use crate::failure::Failure;

const PACKAGE: &str = "org.apache.kafka.common.serialization.";

/// What bytes are taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deserializer {
    String,
    Bytes,
    Short,
    Integer,
    Long,
    Float,
    Double,
    Boolean,
    Uuid,
}

impl Deserializer {
    /// The deserializer of a class; none of a class that is not Kafka's, or prints nothing but an address.
    pub(super) fn of_class(name: &str) -> Option<Self> {
        let name = name.strip_prefix(PACKAGE)?;
        Some(match name {
            "StringDeserializer" => Deserializer::String,
            "BytesDeserializer" => Deserializer::Bytes,
            "ShortDeserializer" => Deserializer::Short,
            "IntegerDeserializer" => Deserializer::Integer,
            "LongDeserializer" => Deserializer::Long,
            "FloatDeserializer" => Deserializer::Float,
            "DoubleDeserializer" => Deserializer::Double,
            "BooleanDeserializer" => Deserializer::Boolean,
            "UUIDDeserializer" => Deserializer::Uuid,
            _ => return None,
        })
    }

    /// The text that Java prints of these bytes.
    pub(super) fn text(self, bytes: &[u8]) -> Result<String, Failure> {
        Ok(match self {
            Deserializer::String => String::from_utf8_lossy(bytes).into_owned(),
            Deserializer::Bytes => bytes.iter().map(|byte| shown(*byte)).collect(),
            Deserializer::Short => {
                i16::from_be_bytes(sized(bytes, "ShortDeserializer")?).to_string()
            }
            Deserializer::Integer => {
                i32::from_be_bytes(sized(bytes, "IntegerDeserializer")?).to_string()
            }
            Deserializer::Long => i64::from_be_bytes(sized(bytes, "LongDeserializer")?).to_string(),
            Deserializer::Float => {
                let number = f32::from_be_bytes(sized(bytes, "Deserializer")?);
                float(number.into(), format!("{number:e}"))
            }
            Deserializer::Double => {
                let number = f64::from_be_bytes(sized(bytes, "Deserializer")?);
                float(number, format!("{number:e}"))
            }
            Deserializer::Boolean => match bytes {
                [0] => "false".to_owned(),
                [1] => "true".to_owned(),
                [other] => {
                    return Err(refused(format!(
                        "Unexpected byte received by BooleanDeserializer: {other}"
                    )));
                }
                _ => {
                    return Err(refused(
                        "Size of data received by BooleanDeserializer is not 1",
                    ));
                }
            },
            Deserializer::Uuid => {
                let text = String::from_utf8_lossy(bytes);
                let is_uuid = text.split('-').count() == 5
                    && text
                        .chars()
                        .all(|letter| letter == '-' || letter.is_ascii_hexdigit());
                if !is_uuid {
                    return Err(refused("Error parsing data into UUID"));
                }
                text.to_lowercase()
            }
        })
    }
}

fn refused(message: impl Into<String>) -> Failure {
    Failure::new(
        "org.apache.kafka.common.errors.SerializationException",
        message,
    )
}

fn sized<const N: usize>(bytes: &[u8], name: &str) -> Result<[u8; N], Failure> {
    bytes
        .try_into()
        .map_err(|_| refused(format!("Size of data received by {name} is not {N}")))
}

/// As Java's `Bytes` shows a byte.
fn shown(byte: u8) -> String {
    match byte {
        b' '..=b'~' if byte != b'\\' => char::from(byte).to_string(),
        _ => format!("\\x{byte:02X}"),
    }
}

/// As Java's `toString` of a number, whose digits and exponent stand in `scientific`.
fn float(number: f64, scientific: String) -> String {
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
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa),
    };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let digits: String = mantissa.chars().filter(|letter| *letter != '.').collect();
    if number == 0.0 {
        return format!("{sign}0.0");
    }
    let with_point = |at: usize| {
        let padded = format!("{digits:0<at$}");
        let (whole, fraction) = padded.split_at(at);
        let fraction = if fraction.is_empty() { "0" } else { fraction };
        format!("{whole}.{fraction}")
    };
    match exponent {
        0..=6 => format!("{sign}{}", with_point(exponent.unsigned_abs() as usize + 1)),
        -3..=-1 => {
            let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
            format!("{sign}0.{zeros}{digits}")
        }
        _ => format!("{sign}{}E{exponent}", with_point(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(class: &str, bytes: &[u8]) -> String {
        let deserializer = Deserializer::of_class(&format!("{PACKAGE}{class}")).unwrap();
        match deserializer.text(bytes) {
            Ok(text) => text,
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn numbers_are_shown_as_java_shows_them() {
        assert_eq!(text("LongDeserializer", &[0, 0, 0, 0, 0, 0, 1, 0]), "256");
        assert_eq!(text("IntegerDeserializer", &[255; 4]), "-1");
        for (number, shown) in [
            (1.0, "1.0"),
            (0.0, "0.0"),
            (-1.5, "-1.5"),
            (1_234_567.0, "1234567.0"),
            (12_345_678.0, "1.2345678E7"),
            (0.001, "0.001"),
            (0.000_1, "1.0E-4"),
            (1e21, "1.0E21"),
            (100.25, "100.25"),
        ] {
            assert_eq!(text("DoubleDeserializer", &f64::to_be_bytes(number)), shown);
        }
        assert_eq!(text("FloatDeserializer", &f32::to_be_bytes(0.1)), "0.1");
    }

    #[test]
    fn what_does_not_fit_is_refused_in_javas_words() {
        assert_eq!(
            text("LongDeserializer", b"one"),
            "Size of data received by LongDeserializer is not 8"
        );
        assert_eq!(Deserializer::of_class("foo"), None);
        assert_eq!(text("BytesDeserializer", b"a\x00\\"), "a\\x00\\x5C");
    }
}
