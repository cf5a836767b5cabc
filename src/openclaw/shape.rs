//! Ways into the config's value, and the refusal of shapes that OpenClaw refuses too.

use crate::error::{Error, ExitCode, Result};
use serde_json::{Map, Value};

/// What a person does about a config that OpenClaw refuses as well.
pub(super) const CORRECT_IT: &str = "correct the file; what OpenClaw thinks of it: openclaw config validate";

/// The object at a path; `None` where a part of the path is absent, an error where one is not an object.
pub(super) fn object<'a>(config: &'a Value, path: &[&str]) -> Result<Option<&'a Map<String, Value>>> {
    let mut at = config;
    for (depth, key) in std::iter::once("").chain(path.iter().copied()).enumerate() {
        if depth > 0 {
            match at.get(key) {
                None => return Ok(None),
                Some(value) => at = value,
            }
        }
        if !at.is_object() {
            let name = if depth == 0 {
                "the config".to_owned()
            } else {
                path[..depth].join(".")
            };
            return Err(shape(&name, kind(at), "an object"));
        }
    }
    Ok(at.as_object())
}

/// The object at a path, made where it is absent.
pub(super) fn child<'a>(config: &'a mut Value, path: &[&str]) -> Result<&'a mut Map<String, Value>> {
    let mut at = config;
    for (depth, key) in path.iter().enumerate() {
        let found = kind(at);
        let Value::Object(map) = at else {
            return Err(shape(&path[..depth].join("."), found, "an object"));
        };
        at = map.entry(*key).or_insert_with(|| Value::Object(Map::new()));
    }
    let found = kind(at);
    at.as_object_mut()
        .ok_or_else(|| shape(&path.join("."), found, "an object"))
}

/// The refusal of a config whose shape OpenClaw would refuse too.
pub(super) fn shape(path: &str, found: &str, wanted: &str) -> Error {
    Error::new(
        ExitCode::Config,
        format!("could not use openclaw.json: {path} is {found}, OpenClaw wants {wanted}"),
    )
    .next(CORRECT_IT)
}

/// A JSON value's kind, for messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
