//! Places in JSON values (`Topics[0].Name`), variables in texts (`${id}`), and `*` patterns.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// The value at a place, if there is one.
pub(crate) fn get<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    split(path).try_fold(value, |value, part| match part.parse::<usize>() {
        Ok(index) => value.get(index),
        Err(_) => value.get(part),
    })
}

pub(crate) fn get_mut<'a>(value: &'a mut Value, path: &str) -> Option<&'a mut Value> {
    split(path).try_fold(value, |value, part| match part.parse::<usize>() {
        Ok(index) => value.get_mut(index),
        Err(_) => value.get_mut(part),
    })
}

fn split(path: &str) -> impl Iterator<Item = &str> {
    path.split(['.', '[', ']']).filter(|part| !part.is_empty())
}

pub(crate) type Variables = BTreeMap<String, Value>;

/// Puts variables in: `"$name"` alone becomes the variable's value, `${name}` inside a text its
/// text; `{"$repeat": [text, count]}` becomes one long text, and so does `{"$pad": [text, length]}`,
/// the text and as many `t` as are wanting. `{"$number": text}` becomes the number that the text says,
/// and `{"$subscription": {...}}` what a consumer tells its classic group (`subscription.rs`), and
/// `{"$assignment": [[topic, [0, 1]]]}` what it is told.
pub(crate) fn substitute(value: &Value, variables: &Variables) -> Result<Value> {
    Ok(match value {
        Value::String(text) => match text.strip_prefix('$') {
            Some(name) if !name.starts_with('{') => variables
                .get(name)
                .with_context(|| format!("no variable {name:?}"))?
                .clone(),
            _ => Value::from(interpolate(text, variables)?),
        },
        Value::Array(items) => items
            .iter()
            .map(|item| substitute(item, variables))
            .collect::<Result<_>>()?,
        Value::Object(object) => {
            if let Some(Value::Array(arguments)) = object.get("$repeat") {
                let (text, count) = text_and_number(arguments)?;
                return Ok(Value::from(text.repeat(count)));
            }
            if let Some(Value::Array(arguments)) = object.get("$pad") {
                let (text, length) = text_and_number(arguments)?;
                let text = interpolate(text, variables)?;
                return Ok(Value::from(format!("{text:t<length$}")));
            }
            if let Some(Value::String(text)) = object.get("$number") {
                let number: i64 = interpolate(text, variables)?.parse()?;
                return Ok(Value::from(number));
            }
            if let Some(subscription) = object.get("$subscription") {
                let subscription = substitute(subscription, variables)?;
                return crate::subscription::encode(subscription).map(Value::from);
            }
            if let Some(assignment) = object.get("$assignment") {
                let assignment = substitute(assignment, variables)?;
                return crate::subscription::encode_assignment(assignment).map(Value::from);
            }
            let pairs = object.iter();
            pairs
                .map(|(key, item)| Ok((key.clone(), substitute(item, variables)?)))
                .collect::<Result<_>>()?
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

fn text_and_number(arguments: &[Value]) -> Result<(&str, usize)> {
    let [Value::String(text), Value::Number(number)] = arguments else {
        bail!("a text and a number are wanted, not {arguments:?}");
    };
    Ok((
        text,
        usize::try_from(number.as_u64().context("a number from 0")?)?,
    ))
}

pub(crate) fn interpolate(text: &str, variables: &Variables) -> Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) = after
            .split_once('}')
            .with_context(|| format!("no }} in {text:?}"))?;
        out.push_str(before);
        let value = variables
            .get(name)
            .with_context(|| format!("no variable {name:?}"))?;
        match value.as_str() {
            Some(text) => out.push_str(text),
            None => out.push_str(&value.to_string()),
        }
        rest = tail;
    }
    out.push_str(rest);
    Ok(out)
}

/// Whether a text matches a pattern in which `*` stands for any characters.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => text.strip_prefix(head).is_some_and(|rest| {
            (0..=rest.len())
                .filter(|cut| rest.is_char_boundary(*cut))
                .any(|cut| matches(tail, rest.get(cut..).unwrap_or_default()))
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_whole_variable_keeps_its_type_and_an_inner_one_becomes_text() {
        let variables = Variables::from([("n".to_owned(), json!(3))]);
        let value = substitute(&json!({ "a": "$n", "b": "x-${n}" }), &variables).unwrap();
        assert_eq!(value, json!({ "a": 3, "b": "x-3" }));
        assert!(substitute(&json!("$m"), &variables).is_err());
    }

    #[test]
    fn patterns_match_anything_at_their_stars() {
        assert!(matches("*.ErrorCode", "Topics[].ErrorCode"));
        assert!(matches("a*c", "abc") && !matches("a*c", "abcd"));
    }
}
