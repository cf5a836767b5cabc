//! What OpenClaw makes of `$include`, and which file a change belongs to.
//!
//! `{ "$include": "./hooks.json5" }` stands for what is in that file. Several files lie one over the other, and members
//! beside an include lie over it: objects are merged member by member, arrays put one after the other, and else what is
//! above counts (OpenClaw 2026.9.6).
//!
//! A change goes where OpenClaw's own goes: into the included file, where an object of the config is that one file and
//! nothing else. Everywhere else (at the root, with several files, with members beside it, with a file outside of the
//! config's folder) OpenClaw's own writes fail; there the change is put beside the include, and lies over it.

use super::entry::ENV_PATH;
use serde_json::{Map, Value};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

const INCLUDE: &str = "$include";

/// Why no file is changed where that would change two places.
pub const SEVERAL: &str = "several places include the file that it belongs to";

/// How deep OpenClaw follows includes of included files.
const DEEPEST: usize = 10;

/// How many includes are followed at all: files that include each other many times over have no end.
const MOST: usize = 1000;

/// More includes than are followed. OpenClaw follows them.
const TOO_OFTEN: &str = "files include each other too often";

/// The files that includes lead to, by the number of the file that they stand in and by their text. `None`: one that
/// cannot be read, in a part of the config that is no matter to us.
pub type Links = BTreeMap<(usize, String), Option<Link>>;

/// The file that an include leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Its number.
    pub file: usize,
    /// It lies in the config's folder, where OpenClaw's own writes go; not in one of `OPENCLAW_INCLUDE_ROOTS`.
    pub writable: bool,
}

/// How far down the path to the entry's `env` a place is; `None` where it is not on that path.
pub type Depth = Option<usize>;

/// The place of a member below a place.
fn below(depth: Depth, key: &str) -> Depth {
    depth
        .filter(|depth| ENV_PATH.get(*depth) == Some(&key))
        .map(|depth| depth + 1)
}

/// The includes in a file whose own place is `depth`, each with its place. What stands in place of file names is passed
/// over.
pub fn includes(value: &Value, depth: Depth) -> Vec<(&str, Depth)> {
    let mut found = Vec::new();
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match names(member).filter(|_| key == INCLUDE) {
                    Some(names) => found.extend(names.into_iter().map(|name| (name, depth))),
                    None => found.extend(includes(member, below(depth, key))),
                }
            }
        }
        Value::Array(items) => found.extend(items.iter().flat_map(|item| includes(item, None))),
        _ => {}
    }
    found
}

/// The file names of an include.
fn names(include: &Value) -> Option<Vec<&str>> {
    match include {
        Value::String(name) => Some(vec![name]),
        Value::Array(items) => items.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// One value over another, as OpenClaw lays them.
pub fn merge(lower: &Value, upper: &Value) -> Value {
    match (lower, upper) {
        (Value::Object(lower), Value::Object(upper)) => {
            let mut merged = lower.clone();
            for (key, value) in upper {
                let value = lower
                    .get(key)
                    .map_or_else(|| value.clone(), |lower| merge(lower, value));
                merged.insert(key.clone(), value);
            }
            Value::Object(merged)
        }
        (Value::Array(lower), Value::Array(upper)) => Value::Array([&lower[..], &upper[..]].concat()),
        (_, upper) => upper.clone(),
    }
}

/// What must lie over `lower` for both together to be `wanted`; `None` where nothing can.
fn over(lower: Option<&Value>, wanted: &Value) -> Option<Value> {
    match (lower, wanted) {
        (Some(Value::Object(lower)), Value::Object(wanted)) => {
            if lower.keys().any(|key| !wanted.contains_key(key)) {
                return None;
            }
            let mut upper = Map::new();
            for (key, wanted) in wanted.iter().filter(|(key, wanted)| lower.get(*key) != Some(wanted)) {
                upper.insert(key.clone(), over(lower.get(key), wanted)?);
            }
            Some(Value::Object(upper))
        }
        (Some(Value::Array(lower)), Value::Array(wanted)) => {
            wanted.strip_prefix(&lower[..]).map(|rest| Value::Array(rest.to_vec()))
        }
        _ => Some(wanted.clone()),
    }
}

/// The values of the config's files, the config's own first.
#[derive(Debug, Clone)]
pub struct Sources<'a> {
    /// By file number.
    pub values: Vec<Value>,
    /// Where the includes lead.
    pub links: &'a Links,
}

/// Where something stands.
#[derive(Clone)]
struct Place {
    file: usize,
    /// The keys that lead to it in its file.
    path: Vec<String>,
    /// The keys that lead to it in the whole config.
    whole: Vec<String>,
}

impl Place {
    fn member(&self, key: &str) -> Self {
        let with = |path: &[String]| [path, &[key.to_owned()]].concat();
        Self {
            file: self.file,
            path: with(&self.path),
            whole: with(&self.whole),
        }
    }

    fn name(&self) -> String {
        if self.whole.is_empty() {
            "the config".to_owned()
        } else {
            self.whole.join(".")
        }
    }
}

/// One walk through all includes.
struct Walk {
    /// How many more are followed.
    left: Cell<usize>,
    /// The first that is no matter to us and that OpenClaw refuses: the number of the file that it stands in, and why.
    refused: RefCell<Option<(usize, String)>>,
}

impl Walk {
    fn new() -> Self {
        Self {
            left: Cell::new(MOST),
            refused: RefCell::new(None),
        }
    }

    fn note(&self, file: usize, why: String) {
        if why != TOO_OFTEN {
            self.refused.borrow_mut().get_or_insert((file, why));
        }
    }
}

impl Sources<'_> {
    /// The whole config. An include that cannot be resolved stays as it is where it is no matter to us.
    ///
    /// # Errors
    /// Why one on the way to the entry cannot be.
    pub fn resolve(&self) -> Result<Value, String> {
        self.resolve_and_refused().map(|(value, _)| value)
    }

    /// The same, and the first include that stays: the number of the file that it stands in, and why OpenClaw refuses it,
    /// and with it the whole config.
    ///
    /// # Errors
    /// As [`Sources::resolve`].
    pub fn resolve_and_refused(&self) -> Result<(Value, Option<(usize, String)>), String> {
        let walk = Walk::new();
        let value = self.value(0, &self.values[0], Some(0), 0, &walk)?;
        Ok((value, walk.refused.into_inner()))
    }

    fn value(&self, file: usize, node: &Value, at: Depth, level: usize, walk: &Walk) -> Result<Value, String> {
        let members = match node {
            Value::Object(members) => members,
            Value::Array(items) => {
                let items = items.iter().map(|item| self.value(file, item, None, level, walk));
                return Ok(Value::Array(items.collect::<Result<_, _>>()?));
            }
            _ => return Ok(node.clone()),
        };
        let mut own = Map::new();
        for (key, member) in members.iter().filter(|(key, _)| *key != INCLUDE) {
            own.insert(key.clone(), self.value(file, member, below(at, key), level, walk)?);
        }
        let Some(include) = members.get(INCLUDE) else {
            return Ok(Value::Object(own));
        };
        let beside = !own.is_empty();
        let own = Value::Object(own);
        let why = match self.included(file, include, at, level, walk) {
            Ok(included) if !beside => return Ok(included),
            Ok(included) if included.is_object() => return Ok(merge(&included, &own)),
            Ok(_) => "members stand beside an include of something that is no object".to_owned(),
            Err(why) => why,
        };
        if at.is_some() {
            return Err(why);
        }
        walk.note(file, why);
        Ok(node.clone())
    }

    fn included(&self, file: usize, include: &Value, at: Depth, level: usize, walk: &Walk) -> Result<Value, String> {
        let names = names(include).ok_or("the include is not a file name")?;
        let mut parts = Vec::new();
        for name in names {
            if level == DEEPEST {
                return Err("files include each other too deep".to_owned());
            }
            if walk.left.get() == 0 {
                return Err(TOO_OFTEN.to_owned());
            }
            walk.left.set(walk.left.get() - 1);
            let link = self.link(file, name)?;
            parts.push(self.value(link.file, &self.values[link.file], at, level + 1, walk)?);
        }
        let empty = Value::Object(Map::new());
        Ok(match &parts[..] {
            [part] if include.is_string() => part.clone(),
            parts => parts.iter().fold(empty, |lower, upper| merge(&lower, upper)),
        })
    }

    fn link(&self, file: usize, name: &str) -> Result<Link, String> {
        let link = self.links.get(&(file, name.to_owned())).copied().flatten();
        link.ok_or_else(|| format!("the included file cannot be read: {name}"))
    }

    /// Changes the files so that the whole config becomes `wanted`.
    ///
    /// # Errors
    /// Why no edit of the files can do that; some of them may be changed then.
    pub fn put(&mut self, wanted: &Value) -> Result<(), String> {
        if !holds_include(&self.values[0]) {
            self.values[0] = wanted.clone();
            return Ok(());
        }
        let root = Place {
            file: 0,
            path: Vec::new(),
            whole: Vec::new(),
        };
        self.put_at(&root, None, wanted, 0)?;
        match self.resolve()? == *wanted {
            true => Ok(()),
            false => Err(SEVERAL.to_owned()),
        }
    }

    /// `lower`: what lies under the place, from includes further up.
    fn put_at(&mut self, at: &Place, lower: Option<&Value>, wanted: &Value, level: usize) -> Result<(), String> {
        let node = self.node(at);
        let Some(include) = node.get(INCLUDE) else {
            return self.put_members(at, lower, wanted, level);
        };
        let alone = node.as_object().is_some_and(|members| members.len() == 1);
        if let (true, Value::String(name)) = (alone && !at.whole.is_empty(), include)
            && let link = self.link(at.file, name)?
            && link.writable
        {
            if level == DEEPEST {
                return Err("files include each other too deep".to_owned());
            }
            let inner = Place {
                file: link.file,
                path: Vec::new(),
                whole: at.whole.clone(),
            };
            return self.put_at(&inner, lower, wanted, level + 1);
        }
        let included = self.included(at.file, include, None, 0, &Walk::new())?;
        let lower = lower.map_or_else(|| included.clone(), |lower| merge(lower, &included));
        self.put_members(at, Some(&lower), wanted, level)
    }

    fn put_members(&mut self, at: &Place, lower: Option<&Value>, wanted: &Value, level: usize) -> Result<(), String> {
        let node = self.node(at).clone();
        let (Value::Object(members), Value::Object(wanted)) = (&node, wanted) else {
            return self.set(at, lower, wanted);
        };
        let lower = lower.and_then(Value::as_object);
        let keys = lower.into_iter().chain([members, wanted]).flat_map(Map::keys);
        let mut keys: Vec<&String> = keys.filter(|key| *key != INCLUDE).collect();
        let mut seen = BTreeSet::new();
        keys.retain(|key| seen.insert(*key));
        for key in keys {
            let (under, wanted) = (lower.and_then(|lower| lower.get(key)), wanted.get(key));
            let own = members.get(key);
            let now = own
                .map(|own| self.value(at.file, own, None, 0, &Walk::new()))
                .transpose()?;
            let now = match (under, now) {
                (Some(under), Some(now)) => Some(merge(under, &now)),
                (under, now) => now.or_else(|| under.cloned()),
            };
            if now.as_ref() == wanted {
                continue;
            }
            let at = at.member(key);
            match (own, wanted) {
                (_, None) if under.is_some() => {
                    return Err(format!(
                        "{} comes from an include, and only an edit of that file can take it out",
                        at.name()
                    ));
                }
                (_, None) => self.remove(&at)?,
                // What lies under it is enough.
                (Some(own), wanted) if under == wanted && !holds_include(own) => self.remove(&at)?,
                (Some(Value::Object(_)), Some(wanted @ Value::Object(_))) => {
                    self.put_at(&at, under.filter(|under| under.is_object()), wanted, level)?;
                }
                (_, Some(wanted)) => self.set(&at, under, wanted)?,
            }
        }
        Ok(())
    }

    fn node(&self, at: &Place) -> &Value {
        at.path
            .iter()
            .try_fold(&self.values[at.file], |node, key| node.get(key))
            .unwrap_or(&Value::Null)
    }

    /// Puts a value over what lies under its place.
    fn set(&mut self, at: &Place, lower: Option<&Value>, wanted: &Value) -> Result<(), String> {
        if holds_include(self.node(at)) {
            return Err(format!("{} is an include, or holds one", at.name()));
        }
        let value = over(lower, wanted).ok_or_else(|| {
            format!(
                "{} comes from an include, and nothing beside that can make it so",
                at.name()
            )
        })?;
        let Some((key, parents)) = at.path.split_last() else {
            self.values[at.file] = value;
            return Ok(());
        };
        if let Some(Value::Object(parent)) = self.parent(at.file, parents) {
            parent.insert(key.clone(), value);
        }
        Ok(())
    }

    /// Takes a member out. Our own entry goes also where it is an include; what is in the included file stays there.
    fn remove(&mut self, at: &Place) -> Result<(), String> {
        let is_entry = at.whole == ENV_PATH[..4];
        if !is_entry && holds_include(self.node(at)) {
            return Err(format!("{} is an include, or holds one", at.name()));
        }
        if let Some((key, parents)) = at.path.split_last()
            && let Some(Value::Object(parent)) = self.parent(at.file, parents)
        {
            parent.shift_remove(key);
        }
        Ok(())
    }

    fn parent(&mut self, file: usize, path: &[String]) -> Option<&mut Value> {
        path.iter()
            .try_fold(&mut self.values[file], |node, key| node.get_mut(key))
    }
}

/// Whether a value is an include, or has one anywhere in it.
pub fn holds_include(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.contains_key(INCLUDE) || members.values().any(holds_include),
        Value::Array(items) => items.iter().any(holds_include),
        _ => false,
    }
}
