//! Paths into a value: the keys of objects and the indices of arrays, from the outermost inwards.

use serde_json::{Map, Value};

/// The index that a key is in an array.
pub(crate) fn index(key: &str) -> Option<usize> {
    key.parse().ok().filter(|index: &usize| index.to_string() == key)
}

/// Writes `new` at `path`; the objects on the way are made where there are none. Where that cannot be, says how many
/// keys lead to the value that is in the way.
pub(crate) fn set(value: &mut Value, path: &[&str], new: Value) -> Result<(), usize> {
    let empty = || Value::Object(Map::new());
    let mut at = value;
    for (depth, &key) in path.iter().enumerate() {
        at = match at {
            Value::Object(members) => members.entry(key).or_insert_with(empty),
            Value::Array(elements) => {
                let index = index(key).filter(|&index| index <= elements.len()).ok_or(depth)?;
                if index == elements.len() {
                    elements.push(empty());
                }
                &mut elements[index]
            }
            _ => return Err(depth),
        };
    }
    *at = new;
    Ok(())
}

/// Takes out what is at `path`, if there is anything.
pub(crate) fn remove(value: &mut Value, path: &[&str]) {
    let Some((key, parents)) = path.split_last() else {
        return;
    };
    let parent = parents.iter().try_fold(value, |value, key| match value {
        Value::Object(members) => members.get_mut(*key),
        Value::Array(elements) => elements.get_mut(index(key)?),
        _ => None,
    });
    match (parent, index(key)) {
        (Some(Value::Object(members)), _) => drop(members.shift_remove(*key)),
        (Some(Value::Array(elements)), Some(index)) if index < elements.len() => drop(elements.remove(index)),
        _ => {}
    }
}
