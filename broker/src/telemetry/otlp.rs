//! Reads what clients push: OpenTelemetry's MetricsData, version 1, in protobuf.
//!
//! Invariant: nothing is built but views of the bytes that came, one data point at a time, whatever
//! they claim. Fields that are not known are passed over, as protobuf wants it.

use super::received::{Distribution, Kind, Point, Value};

/// Why bytes are no MetricsData.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum OtlpError {
    #[error("a field is cut off")]
    CutOff,
    #[error("a number has more than 64 bits")]
    Varint,
    #[error("a field has no number")]
    FieldNumber,
    #[error("there is no wire type {0}")]
    WireType(u8),
    #[error("field {0} is of another type")]
    Type(u32),
    #[error("a text is not UTF-8")]
    Text,
}

/// A field's value, as protobuf writes it.
#[derive(Debug, Clone, Copy)]
enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32,
}

/// The fields of a message, in their order.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn of(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    fn next(&mut self) -> Result<Option<(u32, Raw<'a>)>, OtlpError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| OtlpError::FieldNumber)?;
        if number == 0 {
            return Err(OtlpError::FieldNumber);
        }
        let raw = match (key & 7) as u8 {
            0 => Raw::Varint(self.varint()?),
            1 => Raw::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let size = self.varint()?;
                Raw::Bytes(self.take(usize::try_from(size).map_err(|_| OtlpError::CutOff)?)?)
            }
            5 => {
                self.array::<4>()?;
                Raw::Fixed32
            }
            // Groups have never been part of the messages read here.
            other => return Err(OtlpError::WireType(other)),
        };
        Ok(Some((number, raw)))
    }

    fn take(&mut self, size: usize) -> Result<&'a [u8], OtlpError> {
        let (taken, rest) = self.rest.split_at_checked(size).ok_or(OtlpError::CutOff)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], OtlpError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(OtlpError::CutOff)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn varint(&mut self) -> Result<u64, OtlpError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let [byte] = self.array()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(OtlpError::Varint);
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(OtlpError::Varint)
    }
}

impl<'a> Raw<'a> {
    fn bytes(self, field: u32) -> Result<&'a [u8], OtlpError> {
        match self {
            Raw::Bytes(bytes) => Ok(bytes),
            Raw::Varint(_) | Raw::Fixed64(_) | Raw::Fixed32 => Err(OtlpError::Type(field)),
        }
    }

    fn text(self, field: u32) -> Result<&'a str, OtlpError> {
        std::str::from_utf8(self.bytes(field)?).map_err(|_| OtlpError::Text)
    }

    fn fixed64(self, field: u32) -> Result<u64, OtlpError> {
        match self {
            Raw::Fixed64(bits) => Ok(bits),
            Raw::Varint(_) | Raw::Bytes(_) | Raw::Fixed32 => Err(OtlpError::Type(field)),
        }
    }

    fn double(self, field: u32) -> Result<f64, OtlpError> {
        self.fixed64(field).map(f64::from_bits)
    }

    fn varint(self, field: u32) -> Result<u64, OtlpError> {
        match self {
            Raw::Varint(value) => Ok(value),
            Raw::Fixed64(_) | Raw::Bytes(_) | Raw::Fixed32 => Err(OtlpError::Type(field)),
        }
    }

    /// Numbers one behind the other, or one of them alone.
    fn add_fixed64s(self, field: u32, target: &mut Vec<u64>) -> Result<(), OtlpError> {
        if let Raw::Fixed64(bits) = self {
            target.push(bits);
            return Ok(());
        }
        let (chunks, rest) = self.bytes(field)?.as_chunks::<8>();
        if !rest.is_empty() {
            return Err(OtlpError::CutOff);
        }
        target.extend(chunks.iter().map(|chunk| u64::from_le_bytes(*chunk)));
        Ok(())
    }
}

/// The key and the value of an attribute, as text.
pub(super) type Attribute<'a> = (&'a str, String);

/// Whether these are metrics as a whole, before any of them is taken.
pub(super) fn check(metrics: &[u8]) -> Result<(), OtlpError> {
    read(metrics, &mut |_| {})
}

/// Gives each data point in turn.
pub(super) fn read(metrics: &[u8], take: &mut dyn FnMut(Point<'_>)) -> Result<(), OtlpError> {
    let mut fields = Fields::of(metrics);
    while let Some((number, raw)) = fields.next()? {
        if number == 1 {
            read_resource(raw.bytes(number)?, take)?;
        }
    }
    Ok(())
}

fn read_resource(metrics: &[u8], take: &mut dyn FnMut(Point<'_>)) -> Result<(), OtlpError> {
    // The resource may stand behind its metrics.
    let mut resource = Vec::new();
    let mut fields = Fields::of(metrics);
    while let Some((number, raw)) = fields.next()? {
        if number == 1 {
            let mut inner = Fields::of(raw.bytes(number)?);
            while let Some((number, raw)) = inner.next()? {
                if number == 1 {
                    resource.push(attribute(raw.bytes(number)?)?);
                }
            }
        }
    }
    let mut fields = Fields::of(metrics);
    while let Some((number, raw)) = fields.next()? {
        if number == 2 {
            let mut scope = Fields::of(raw.bytes(number)?);
            while let Some((number, raw)) = scope.next()? {
                if number == 2 {
                    read_metric(raw.bytes(number)?, &resource, take)?;
                }
            }
        }
    }
    Ok(())
}

/// The fields of `Metric` that hold data.
const GAUGE: u32 = 5;
const SUM: u32 = 7;
const HISTOGRAM: u32 = 9;
const EXPONENTIAL_HISTOGRAM: u32 = 10;
const SUMMARY: u32 = 11;

fn read_metric(
    metric: &[u8],
    resource: &[Attribute<'_>],
    take: &mut dyn FnMut(Point<'_>),
) -> Result<(), OtlpError> {
    let mut name = "";
    let mut data = None;
    let mut fields = Fields::of(metric);
    while let Some((number, raw)) = fields.next()? {
        match number {
            1 => name = raw.text(number)?,
            GAUGE | SUM | HISTOGRAM | EXPONENTIAL_HISTOGRAM | SUMMARY => {
                data = Some((number, raw.bytes(number)?));
            }
            _ => {}
        }
    }
    let Some((sort, data)) = data else {
        return Ok(());
    };
    let nature = nature(sort, data)?;
    let mut points = Fields::of(data);
    while let Some((number, raw)) = points.next()? {
        if number == 1 {
            let point = raw.bytes(number)?;
            let read = match sort {
                GAUGE | SUM => number_point(point)?,
                HISTOGRAM => histogram_point(point, 9)?,
                SUMMARY => histogram_point(point, 7)?,
                _ => histogram_point(point, 1)?,
            };
            let Some(Read {
                value,
                attributes,
                time,
            }) = read
            else {
                continue;
            };
            take(Point {
                name,
                resource,
                attributes: &attributes,
                kind: nature.kind,
                delta: nature.delta,
                time,
                value,
            });
        }
    }
    Ok(())
}

struct Nature {
    kind: Kind,
    delta: bool,
}

/// `AGGREGATION_TEMPORALITY_DELTA`
const DELTA: u64 = 1;

/// What the points of a metric are: it may stand behind them.
fn nature(sort: u32, data: &[u8]) -> Result<Nature, OtlpError> {
    let (mut delta, mut monotonic) = (false, false);
    let mut fields = Fields::of(data);
    while let Some((number, raw)) = fields.next()? {
        match (sort, number) {
            (SUM | HISTOGRAM | EXPONENTIAL_HISTOGRAM, 2) => delta = raw.varint(number)? == DELTA,
            (SUM, 3) => monotonic = raw.varint(number)? != 0,
            _ => {}
        }
    }
    let kind = match sort {
        SUM if monotonic => Kind::Counter,
        SUM | GAUGE => Kind::Gauge,
        _ => Kind::Histogram,
    };
    Ok(Nature { kind, delta })
}

/// A data point that has been read.
struct Read<'a> {
    value: Value,
    attributes: Vec<Attribute<'a>>,
    time: u64,
}

/// The flag of a point that says that there is none.
const NO_RECORDED_VALUE: u64 = 1;

fn number_point(point: &[u8]) -> Result<Option<Read<'_>>, OtlpError> {
    let (mut value, mut time, mut flags) = (None, 0, 0);
    let mut attributes = Vec::new();
    let mut fields = Fields::of(point);
    while let Some((number, raw)) = fields.next()? {
        match number {
            3 => time = raw.fixed64(number)?,
            4 => value = Some(raw.double(number)?),
            6 => value = Some(raw.fixed64(number)?.cast_signed() as f64),
            7 => attributes.push(attribute(raw.bytes(number)?)?),
            8 => flags = raw.varint(number)?,
            _ => {}
        }
    }
    let value = value.filter(|_| flags & NO_RECORDED_VALUE == 0);
    Ok(value.map(|value| Read {
        value: Value::Number(value),
        attributes,
        time,
    }))
}

/// A point of any sort of histogram, or of a summary: they have the same numbers but for those of
/// their attributes. Buckets are read of plain histograms alone.
fn histogram_point(point: &[u8], attributes_at: u32) -> Result<Option<Read<'_>>, OtlpError> {
    let is_plain = attributes_at == 9;
    let (mut count, mut sum, mut time) = (0, 0.0, 0);
    let (mut counts, mut bounds) = (Vec::new(), Vec::new());
    let mut attributes = Vec::new();
    let mut fields = Fields::of(point);
    while let Some((number, raw)) = fields.next()? {
        match number {
            3 => time = raw.fixed64(number)?,
            4 => count = raw.fixed64(number)?,
            5 => sum = raw.double(number)?,
            6 if is_plain => raw.add_fixed64s(number, &mut counts)?,
            7 if is_plain => raw.add_fixed64s(number, &mut bounds)?,
            _ if number == attributes_at => attributes.push(attribute(raw.bytes(number)?)?),
            _ => {}
        }
    }
    let distribution = Distribution {
        count,
        sum,
        bounds: bounds.into_iter().map(f64::from_bits).collect(),
        counts,
    };
    Ok(Some(Read {
        value: Value::Distribution(distribution),
        attributes,
        time,
    }))
}

fn attribute(key_value: &[u8]) -> Result<Attribute<'_>, OtlpError> {
    let (mut key, mut value) = ("", String::new());
    let mut fields = Fields::of(key_value);
    while let Some((number, raw)) = fields.next()? {
        match number {
            1 => key = raw.text(number)?,
            2 => value = any_value(raw.bytes(number)?)?,
            _ => {}
        }
    }
    Ok((key, value))
}

/// Text as it is, numbers as text; lists and bytes say nothing as a label.
fn any_value(value: &[u8]) -> Result<String, OtlpError> {
    let mut text = String::new();
    let mut fields = Fields::of(value);
    while let Some((number, raw)) = fields.next()? {
        text = match number {
            1 => raw.text(number)?.to_owned(),
            2 => (raw.varint(number)? != 0).to_string(),
            3 => raw.varint(number)?.cast_signed().to_string(),
            4 => raw.double(number)?.to_string(),
            _ => continue,
        };
    }
    Ok(text)
}
