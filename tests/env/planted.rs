//! What a user puts into their home before root moves a login out of it, or back.

use super::three_users::{ThreeUsers, give};
use super::watching::managed_token;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// Where the login of [`ThreeUsers::log_in_managed`] is; nothing answers there.
pub const API: &str = "http://127.0.0.1:9";
/// What its records say, typed.
pub const TYPED: [&str; 4] = ["--mode", "managed", "--api-url", API];
/// A third user, whom none of it concerns.
pub const VICTIM: u32 = 61_003;

/// Links to a third user's home: each one's name in the folder `agents`, where it leads, and the home that is typed.
pub const LINKS: [(&str, &str, &str); 6] = [
    ("oc", "victim/.openclaw", "oc"),
    ("oc", "victim/.openclaw", "oc/"),
    ("oc", "victim/.openclaw", "oc/."),
    ("oc", "victim/.openclaw", "../agents/oc/"),
    ("sub", "victim", "sub/.openclaw"),
    ("sub", "victim", "sub/../victim/.openclaw/"),
];

/// Puts something into the home, beside a file of root's with a good token.
type Plant = fn(&ThreeUsers, &Path);

/// What could have root take something that is root's, or no token.
pub const PLANTS: [(&str, Plant); 7] = [
    ("the token file is a link", |users, roots| {
        let file = users.env.sigilum("owner-token-alice.jwt");
        fs::remove_file(&file).unwrap();
        symlink(roots, &file).unwrap();
    }),
    ("the record names root's file", |users, roots| {
        let record = json!({"mode": "managed", "api_url": API, "email": "a@x", "token_file": roots});
        fs::write(users.env.sigilum("owner-alice.json"), record.to_string()).unwrap();
    }),
    ("the record is a link", |users, roots| {
        let file = users.env.sigilum("owner-alice.json");
        fs::remove_file(&file).unwrap();
        symlink(roots, &file).unwrap();
    }),
    ("our folder is a link", |users, roots| {
        let folder = users.env.openclaw().join(".sigilum");
        fs::rename(&folder, users.env.home().join("moved")).unwrap();
        symlink(roots.parent().unwrap(), &folder).unwrap();
    }),
    ("the home is a link", |users, _| {
        let moved = users.env.home().join("moved");
        fs::rename(users.env.openclaw(), &moved).unwrap();
        symlink(&moved, users.env.openclaw()).unwrap();
    }),
    ("it is no token", |users, _| {
        fs::write(users.env.sigilum("owner-token-alice.jwt"), "root:x:0:0::/root:/bin/sh").unwrap();
    }),
    ("it is another's token", |users, _| {
        fs::write(users.env.sigilum("owner-token-alice.jwt"), managed_token("bob", 3600)).unwrap();
    }),
];

impl ThreeUsers {
    /// A home of a third user's with a login of alice's, and a folder for links to it. Gives the token.
    pub fn add_victim(&self) -> String {
        let token = managed_token("alice", 90_000);
        let record = json!({"mode": "managed", "api_url": API, "email": "v@x"}).to_string();
        let home = "victim/.openclaw/.sigilum";
        self.env.write(format!("{home}/owner-token-alice.jwt"), &token);
        self.env.write(format!("{home}/owner-alice.json"), record);
        self.env.write(format!("{home}/undo.json"), "{}");
        give(&self.env.home().join("victim"), VICTIM);
        fs::create_dir(self.env.home().join("agents")).unwrap();
        token
    }

    /// A login that the home's user wrote there themselves.
    pub fn plant_login(&self, token: &str, api: &str) {
        let record = json!({"mode": "managed", "api_url": api, "email": "a@x"});
        self.env.write(".openclaw/.sigilum/owner-token-alice.jwt", token);
        self.env
            .write(".openclaw/.sigilum/owner-alice.json", record.to_string());
        self.give_home();
    }
}
