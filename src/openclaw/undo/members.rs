//! Which values we changed in a file, and what they were before.

use super::regions::Fingerprint;
use crate::openclaw::entry::HOOK;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::ops::Bound;

/// Everything in a file's value that is not as we found it.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Members {
    /// By JSON pointer (RFC 6901).
    members: BTreeMap<String, Member>,
    /// What we put into arrays, or took out of them.
    elements: Vec<Element>,
}

/// What we did to one member.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Member {
    /// We made this object or array; it goes when nothing is left in it.
    Container,
    /// We made this and it is ours alone: it goes with all that is in it.
    Own,
    /// We set this, or took it out.
    #[serde(untagged)]
    Value {
        /// What stood here before; absent if nothing did.
        #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
        was: Option<Value>,
        /// What we wrote here; absent if we took it out. Another value is somebody's later edit, and stays.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        now: Option<Fingerprint>,
    },
}

/// One element of an array.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Element {
    array: String,
    value: Value,
    /// Where it stood, if we took it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removed_from: Option<usize>,
}

/// Tells a recorded `null` from nothing.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Members {
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.elements.is_empty()
    }

    /// Takes an edit over that made `new` of `old`.
    pub fn note(&mut self, old: &Value, new: &Value) {
        self.compare("", old, new);
    }

    /// `value` as it would be without us.
    pub fn restore(&self, value: &Value) -> Value {
        // The outermost object is not a member of anything, so it stays.
        self.restore_at("", value).unwrap_or_else(|| Value::Object(Map::new()))
    }

    /// Forgets tokens, and says whether there were any.
    pub fn scrub(&mut self, is_token: &dyn Fn(&str) -> bool) -> bool {
        let mut found = false;
        for member in self.members.values_mut() {
            if let Member::Value { was: Some(value), .. } = member {
                found |= without_tokens(value, is_token);
            }
        }
        for member in self.members.values_mut() {
            if let Member::Value { was, .. } = member
                && was.as_ref().and_then(Value::as_str).is_some_and(is_token)
            {
                *was = None;
                found = true;
            }
        }
        self.members
            .retain(|_, member| !matches!(member, Member::Value { was: None, now: None }));
        self.elements.retain_mut(|element| {
            let token = element.value.as_str().is_some_and(is_token);
            let held = token || without_tokens(&mut element.value, is_token);
            found |= held;
            // One that we put in could not be told by its value any more.
            !held || !token && element.removed_from.is_some()
        });
        found
    }

    fn compare(&mut self, path: &str, old: &Value, new: &Value) {
        match (old, new) {
            _ if old == new || self.members.get(path) == Some(&Member::Own) => {}
            _ if self.members.contains_key(path) && self.members.get(path) != Some(&Member::Container) => {
                self.change(path, Some(old), Some(new));
            }
            (Value::Object(old), Value::Object(new)) => self.compare_members(path, old, new),
            (Value::Array(old_elements), Value::Array(new_elements)) => {
                let (head, tail) = common(old_elements, new_elements);
                let removed = head..old_elements.len() - tail;
                let added = head..new_elements.len() - tail;
                if !removed.is_empty() && !added.is_empty() {
                    return self.change(path, Some(old), Some(new));
                }
                for index in removed {
                    self.element(path, &old_elements[index], Some(index));
                }
                for value in &new_elements[added] {
                    self.element(path, value, None);
                }
            }
            _ => self.change(path, Some(old), Some(new)),
        }
    }

    fn compare_members(&mut self, path: &str, old: &Map<String, Value>, new: &Map<String, Value>) {
        for (key, old) in old {
            match new.get(key) {
                Some(new) => self.compare(&join(path, key), old, new),
                None => self.change(&join(path, key), Some(old), None),
            }
        }
        for (key, new) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
            self.change(&join(path, key), None, Some(new));
        }
    }

    /// A member whose value changed, appeared or disappeared.
    fn change(&mut self, path: &str, old: Option<&Value>, new: Option<&Value>) {
        let original = match (old, self.members.get(path)) {
            (Some(old), _) => self.restore_at(path, old),
            (None, Some(Member::Value { was, now: None })) => was.clone(),
            (None, _) => None,
        };
        let below = format!("{path}/");
        self.members
            .retain(|member, _| member != path && !member.starts_with(&below));
        self.elements
            .retain(|element| element.array != path && !element.array.starts_with(&below));
        self.record(path, original, new);
    }

    fn record(&mut self, path: &str, original: Option<Value>, new: Option<&Value>) {
        let member = match (original, new) {
            (None, None) => return,
            (Some(original), Some(new)) if original == *new => return,
            // Member by member, so that what others put in later can stay.
            (Some(original @ Value::Object(_)), Some(new @ Value::Object(_))) => {
                return self.compare(path, &original, new);
            }
            (None, Some(Value::Object(_))) if path.ends_with(&join("", HOOK)) => Member::Own,
            (None, Some(Value::Object(members))) => {
                for (key, value) in members {
                    self.record(&join(path, key), None, Some(value));
                }
                Member::Container
            }
            (None, Some(Value::Array(elements))) => {
                for value in elements {
                    self.element(path, value, None);
                }
                Member::Container
            }
            (was, new) => Member::Value {
                was,
                now: new.map(fingerprint),
            },
        };
        self.members.insert(path.to_owned(), member);
    }

    /// An element that was put into an array, or taken out; the one takes the other back.
    fn element(&mut self, array: &str, value: &Value, removed_from: Option<usize>) {
        let opposite = self.elements.iter().position(|element| {
            element.array == array
                && element.value == *value
                && element.removed_from.is_some() != removed_from.is_some()
        });
        match opposite {
            Some(index) => drop(self.elements.remove(index)),
            None => self.elements.push(Element {
                array: array.to_owned(),
                value: value.clone(),
                removed_from,
            }),
        }
    }

    fn restore_members(&self, path: &str, members: &mut Map<String, Value>) {
        for key in self.keys_below(path) {
            let path = join(path, &key);
            let restored = match (members.get(&key), self.members.get(&path)) {
                (Some(value), _) => self.restore_at(&path, value),
                (None, Some(Member::Value { was, now: None })) => was.clone(),
                (None, _) => None,
            };
            match restored {
                Some(value) => drop(members.insert(key, value)),
                None => drop(members.shift_remove(&key)),
            }
        }
    }

    fn restore_elements(&self, path: &str, elements: &mut Vec<Value>) {
        for element in self.elements.iter().rev().filter(|element| element.array == path) {
            let place = elements.iter().rposition(|value| *value == element.value);
            match (element.removed_from, place) {
                (None, Some(index)) => drop(elements.remove(index)),
                (Some(index), None) => elements.insert(index.min(elements.len()), element.value.clone()),
                _ => {}
            }
        }
    }

    fn restore_at(&self, path: &str, value: &Value) -> Option<Value> {
        let member = self.members.get(path);
        match member {
            Some(Member::Own) => return None,
            Some(Member::Value { was, now }) if *now == Some(fingerprint(value)) => return was.clone(),
            Some(Member::Value { .. }) => return Some(value.clone()),
            _ => {}
        }
        let mut value = value.clone();
        match &mut value {
            Value::Object(members) => self.restore_members(path, members),
            Value::Array(elements) => self.restore_elements(path, elements),
            _ => {}
        }
        let empty = match &value {
            Value::Object(members) => members.is_empty(),
            Value::Array(elements) => elements.is_empty(),
            _ => false,
        };
        (!empty || member != Some(&Member::Container)).then_some(value)
    }

    /// The keys directly below `path` at or below which something is recorded.
    fn keys_below(&self, path: &str) -> Vec<String> {
        let below = format!("{path}/");
        let members = self
            .members
            .range::<str, _>((Bound::Included(below.as_str()), Bound::Unbounded));
        let members = members
            .map(|(member, _)| member.as_str())
            .take_while(|member| member.starts_with(&below));
        let arrays = self.elements.iter().map(|element| element.array.as_str());
        let mut keys: Vec<_> = members
            .chain(arrays)
            .filter_map(|member| Some(unescape(member.strip_prefix(&below)?.split('/').next()?)))
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }
}

/// How many elements both begin and both end with.
fn common(old: &[Value], new: &[Value]) -> (usize, usize) {
    let head = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let rest = old.len().min(new.len()) - head;
    let tail = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take(rest)
        .take_while(|(old, new)| old == new)
        .count();
    (head, tail)
}

/// Takes the members and elements out that are tokens, and says whether there were any.
fn without_tokens(value: &mut Value, is_token: &dyn Fn(&str) -> bool) -> bool {
    let mut found = false;
    let mut stays = |value: &mut Value| {
        let token = value.as_str().is_some_and(is_token);
        found |= token || without_tokens(value, is_token);
        !token
    };
    match value {
        Value::Object(members) => members.retain(|_, value| stays(value)),
        Value::Array(elements) => elements.retain_mut(stays),
        _ => {}
    }
    found
}

fn fingerprint(value: &Value) -> Fingerprint {
    Fingerprint::of(value.to_string().as_bytes())
}

/// RFC 6901
fn join(path: &str, key: &str) -> String {
    format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}
