//! A connection of the Sigilum gateway: its metadata as the admin API and the gateway's CLI give it. Secret values are
//! never part of it.

use crate::text;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;

/// A connection's metadata, as `GET /api/admin/connections/{id}` answers. Members that we have no use for are dropped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Connection {
    /// The id: the service's slug.
    pub id: String,
    /// A name for people.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
    /// `http` or `mcp`.
    #[serde(default = "http", deserialize_with = "or_default")]
    pub protocol: String,
    /// The upstream's base URL, without a trailing `/`.
    pub base_url: String,
    /// Put before every path; empty: nothing.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub path_prefix: String,
    /// `bearer`, `header_key` or `query_param`.
    #[serde(default, deserialize_with = "or_default")]
    pub auth_mode: String,
    /// The header or query parameter that carries the secret.
    #[serde(default, deserialize_with = "or_default")]
    pub auth_header_name: String,
    /// What stands before the secret, `Bearer ` for example.
    #[serde(default, deserialize_with = "or_default")]
    pub auth_prefix: String,
    /// Which of the connection's secrets goes upstream.
    #[serde(default, deserialize_with = "or_default")]
    pub auth_secret_key: String,
    /// The names of the connection's secrets.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    pub credential_keys: Vec<String>,
    /// `active` or `disabled`.
    #[serde(default, deserialize_with = "or_default")]
    pub status: String,
    /// How often the secret is to be rotated, in days; 0: no policy.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    pub rotation_interval_days: u64,
    /// Counts the rotations, from 1.
    #[serde(default, deserialize_with = "or_default")]
    pub secret_version: u64,
    /// When it was made: tells an old connection from its re-creation.
    #[serde(default, deserialize_with = "or_default")]
    pub created_at: String,
    /// Protocol mcp: how the upstream is spoken to.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub mcp_transport: String,
    /// Protocol mcp: the upstream's endpoint.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub mcp_endpoint: String,
    /// Protocol mcp: which tools agents may see.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "ToolPolicy::is_empty"
    )]
    pub mcp_tool_policy: ToolPolicy,
    /// Protocol mcp: the same for single subjects.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Map::is_empty")]
    pub mcp_subject_tool_policies: Map<String, Value>,
}

/// The longest that a member which people are shown may be, in bytes; and all names of secrets together.
const SHOWN_MAX: usize = 2048;
const KEYS_MAX: usize = 64 * 1024;
/// A list of connections is at most so long: ids alone could fill the memory.
const LIST_MAX: usize = 100_000;

impl Connection {
    /// Why no gateway's connection `id` is like this: what people are shown, and what is put into a command for them,
    /// must be what it looks like. `None`: it is fine.
    pub(super) fn invalid_response(&self, id: &str) -> Option<&'static str> {
        let shown = [
            &self.protocol,
            &self.base_url,
            &self.auth_mode,
            &self.auth_header_name,
            &self.auth_secret_key,
            &self.status,
            &self.created_at,
        ];
        let keys = &self.credential_keys;
        let mut texts = shown.into_iter().chain(keys);
        if self.id != id {
            Some("it is another one")
        } else if texts.any(|text| text.len() > SHOWN_MAX || !text.chars().all(text::is_plain)) {
            Some("a member is too long, or holds characters that cannot be seen")
        } else if keys.iter().map(String::len).sum::<usize>() > KEYS_MAX {
            Some("it has too many secrets")
        } else {
            None
        }
    }
}

/// The ids of a list of connections: `{"connections":[…]}`, as admin API and CLI give it.
pub(super) fn ids(list: &[u8]) -> serde_json::Result<HashSet<String>> {
    #[derive(Deserialize)]
    struct List {
        connections: Option<Ids>,
    }
    #[derive(Deserialize)]
    struct Id {
        id: String,
    }
    struct Ids(HashSet<String>);
    struct IdsVisitor;
    impl<'de> Deserialize<'de> for Ids {
        fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            from.deserialize_seq(IdsVisitor)
        }
    }
    impl<'de> Visitor<'de> for IdsVisitor {
        type Value = Ids;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {LIST_MAX} connections")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Ids, A::Error> {
            let mut ids = HashSet::new();
            let mut length = 0;
            while let Some(Id { id }) = seq.next_element()? {
                length += 1;
                if length > LIST_MAX {
                    return Err(A::Error::invalid_length(length, &self));
                }
                ids.insert(id);
            }
            Ok(Ids(ids))
        }
    }
    let list: List = serde_json::from_slice(list)?;
    Ok(list.connections.map(|Ids(ids)| ids).unwrap_or_default())
}

/// Which MCP tools agents may see.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ToolPolicy {
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    allowlist: Vec<String>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "Vec::is_empty")]
    denylist: Vec<String>,
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "is_zero")]
    max_tools_exposed: u64,
}

impl ToolPolicy {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What `POST /api/admin/connections` takes, but for the secrets: those travel apart and are never stored with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewConnection {
    /// The id: the service's slug.
    pub id: String,
    /// A name for people.
    pub name: String,
    /// `http` or `mcp`.
    pub protocol: String,
    /// The upstream's base URL.
    pub base_url: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[allow(missing_docs)]
    pub path_prefix: String,
    /// `bearer`, `header_key` or `query_param`.
    pub auth_mode: String,
    /// The header or query parameter that carries the secret.
    pub auth_header_name: String,
    /// What stands before the secret; may be empty.
    pub auth_prefix: String,
    /// Which of the secrets goes upstream. Empty only for protocol mcp.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub auth_secret_key: String,
    #[serde(default, skip_serializing_if = "is_zero")]
    #[allow(missing_docs)]
    pub rotation_interval_days: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[allow(missing_docs)]
    pub mcp_transport: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[allow(missing_docs)]
    pub mcp_endpoint: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[allow(missing_docs)]
    pub mcp_tool_allowlist: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[allow(missing_docs)]
    pub mcp_tool_denylist: Vec<String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    #[allow(missing_docs)]
    pub mcp_max_tools_exposed: u64,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[allow(missing_docs)]
    pub mcp_subject_tool_policies: Map<String, Value>,
}

impl NewConnection {
    /// What it takes to make this connection again. The gateway refuses MCP members for protocol http, where they mean
    /// nothing anyway.
    pub fn like(old: &Connection) -> Self {
        let mcp = old.protocol == "mcp";
        let policy = if mcp {
            old.mcp_tool_policy.clone()
        } else {
            ToolPolicy::default()
        };
        let text = |value: &String| if mcp { value.clone() } else { String::new() };
        Self {
            id: old.id.clone(),
            name: old.name.clone(),
            protocol: old.protocol.clone(),
            base_url: old.base_url.clone(),
            path_prefix: old.path_prefix.clone(),
            auth_mode: old.auth_mode.clone(),
            auth_header_name: old.auth_header_name.clone(),
            auth_prefix: old.auth_prefix.clone(),
            auth_secret_key: old.auth_secret_key.clone(),
            rotation_interval_days: old.rotation_interval_days,
            mcp_transport: text(&old.mcp_transport),
            mcp_endpoint: text(&old.mcp_endpoint),
            mcp_tool_allowlist: policy.allowlist,
            mcp_tool_denylist: policy.denylist,
            mcp_max_tools_exposed: policy.max_tools_exposed,
            mcp_subject_tool_policies: if mcp {
                old.mcp_subject_tool_policies.clone()
            } else {
                Map::new()
            },
        }
    }
}

/// What `PATCH /api/admin/connections/{id}` changes; `None` leaves a member alone. The gateway takes an empty text and
/// 0 for "leave alone" too, and has no way to change `base_url`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Patch {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub path_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub auth_mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub auth_header_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub auth_prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub auth_secret_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub rotation_interval_days: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[allow(missing_docs)]
    pub status: Option<String>,
}

impl Patch {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn http() -> String {
    "http".to_owned()
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Go writes `null` for an empty list or map.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(from)?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_connection_may_hold() {
        let fine =
            json!({"id": "linear", "base_url": "https://a.test", "name": "Zoë\u{200d}\u{1b}", "auth_prefix": "K\t"});
        let cases = [
            ("base_url", json!("https://ü.test/щ"), None),
            ("credential_keys", json!(["a", "b c"]), None),
            ("id", json!("other"), Some("it is another one")),
            ("id", json!("../linear"), Some("it is another one")),
            (
                "auth_secret_key",
                json!("\u{1b}[2J"),
                Some("a member is too long, or holds characters that cannot be seen"),
            ),
            (
                "credential_keys",
                json!(["a\nb"]),
                Some("a member is too long, or holds characters that cannot be seen"),
            ),
            (
                "auth_header_name",
                json!("X\u{202e}"),
                Some("a member is too long, or holds characters that cannot be seen"),
            ),
            (
                "base_url",
                json!("x".repeat(2049)),
                Some("a member is too long, or holds characters that cannot be seen"),
            ),
            (
                "credential_keys",
                json!(vec!["x".repeat(100); 700]),
                Some("it has too many secrets"),
            ),
        ];
        for (member, value, invalid_response) in cases {
            let mut connection = fine.clone();
            connection[member] = value;
            let connection: Connection = serde_json::from_value(connection).unwrap();
            assert_eq!(
                connection.invalid_response("linear"),
                invalid_response,
                "{member}: {connection:?}"
            );
        }
    }

    #[test]
    fn ids_of_a_list() {
        let read = |text: &str| ids(text.as_bytes()).map(|ids| ids.len()).map_err(|_| ());
        assert_eq!(
            read(r#"{"connections":[{"id":"a","base_url":"x"},{"id":"b"},{"id":"a"}]}"#),
            Ok(2)
        );
        for none in [r#"{"connections":null}"#, "{}", r#"{"connections":[]}"#] {
            assert_eq!(read(none), Ok(0), "{none}");
        }
        for bad in [
            r#"{"connections":[{}]}"#,
            r#"{"connections":[{"id":7}]}"#,
            r#"{"connections":{}}"#,
            "7",
            "<html>",
        ] {
            assert_eq!(read(bad), Err(()), "{bad}");
        }
        let many = |count: usize| {
            format!(
                r#"{{"connections":[{}{{"id":"x"}}]}}"#,
                r#"{"id":"x"},"#.repeat(count - 1)
            )
        };
        assert_eq!(read(&many(LIST_MAX)), Ok(1));
        assert_eq!(read(&many(LIST_MAX + 1)), Err(()));
    }
}
