//! This machine's accounts, by `passwd` and `group`.

use super::read_capped;
use std::path::Path;

/// Larger than any machine's list of accounts.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// The accounts of a machine, as `/etc/passwd` and `/etc/group` list them (passwd(5), group(5)).
pub(super) struct Accounts {
    passwd: String,
    group: String,
}

/// The name of our own account, or its number where it has none.
pub fn account_name() -> String {
    user_name(rustix::process::geteuid().as_raw())
}

/// The name of an account, or its number where it has none here.
pub fn user_name(uid: u32) -> String {
    let name = Accounts::of_this_machine().and_then(|accounts| accounts.name(&uid.to_string()));
    name.unwrap_or_else(|| uid.to_string())
}

/// How a person runs this program as an account.
pub fn run_as(uid: u32) -> String {
    format!("{} sigilum-authz-notify", sudo_as(uid))
}

/// `sudo -u <account>`, which takes one without a name by `#` and its number.
pub fn sudo_as(uid: u32) -> String {
    let user = match user_name(uid) {
        name if name == uid.to_string() => format!("'#{uid}'"),
        name => name,
    };
    format!("sudo -u {user}")
}

/// The number of an account that has this name here.
pub fn user_number(name: &str) -> Option<u32> {
    number_of(&Accounts::of_this_machine()?.passwd, name)
}

/// The number of a group that has this name here.
pub fn group_number(name: &str) -> Option<u32> {
    number_of(&Accounts::of_this_machine()?.group, name)
}

/// Whether an account is one of a group's here.
pub fn is_in_group(uid: u32, gid: u32) -> bool {
    Accounts::of_this_machine().is_some_and(|accounts| accounts.in_group(gid).contains(&Some(uid)))
}

/// `name:password:number:…`, in passwd(5) as in group(5).
fn number_of(rows: &str, name: &str) -> Option<u32> {
    let mut rows = rows.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let row = rows.find(|row| row.first() == Some(&name))?;
    row.get(2)?.parse().ok()
}

impl Accounts {
    /// This machine's; `None` where they cannot be read. A container may have none at all.
    pub fn of_this_machine() -> Option<Self> {
        let read = |path: &str| {
            let bytes = read_capped(Path::new(path), MAX_BYTES).ok()?;
            Some(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned())
        };
        Some(Self {
            passwd: read("/etc/passwd")?,
            group: read("/etc/group")?,
        })
    }

    fn name(&self, uid: &str) -> Option<String> {
        let mut users = self.passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        users.find_map(|user| (user.get(2) == Some(&uid)).then(|| user[0].to_owned()))
    }

    /// The user numbers of a group's accounts: those whose own group it is, and those that it lists. `None` stands for
    /// one that is listed and has no number here.
    pub fn in_group(&self, gid: u32) -> Vec<Option<u32>> {
        let number = |text: &str| text.parse::<u32>().ok();
        let users = || self.passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let own = users().filter(|user| user.get(3).and_then(|text| number(text)) == Some(gid));
        let mut found: Vec<_> = own.map(|user| user.get(2).and_then(|text| number(text))).collect();
        let groups = self.group.lines().map(|line| line.split(':').collect::<Vec<_>>());
        for group in groups.filter(|group| group.get(2).and_then(|text| number(text)) == Some(gid)) {
            let listed = group.get(3).map_or("", |members| members.trim()).split(',');
            for name in listed.filter(|name| !name.is_empty()) {
                let user = users().find(|user| user[0] == name);
                found.push(user.and_then(|user| user.get(2).and_then(|text| number(text))));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_groups_accounts_are_those_whose_own_it_is_and_those_that_it_lists() {
        let accounts = Accounts {
            passwd: "root:x:0:0::/root:/bin/sh\nalice:x:1000:1000:Alice,,,:/home/alice:\nbob:x:1001:1001\ncarol:x:1002:100::\n\
                     odd:x:many:100\nshort\n"
                .to_owned(),
            group: "root:x:0:\nalice:x:1000:\nusers:x:100:\nshared:x:2000:alice,bob\ntwin:x:2000:carol\nfar:x:2001:dave\n"
                .to_owned(),
        };
        let table: [(u32, &[Option<u32>]); 6] = [
            (1000, &[Some(1000)]),
            (100, &[Some(1002), None]),
            (2000, &[Some(1000), Some(1001), Some(1002)]),
            (2001, &[None]),
            (0, &[Some(0)]),
            (4242, &[]),
        ];
        for (gid, members) in table {
            assert_eq!(accounts.in_group(gid), members, "{gid}");
        }
        assert_eq!(accounts.name("1001").as_deref(), Some("bob"));
        assert_eq!(accounts.name("7"), None);
    }
}
