//! The local API database: made, migrated, shared with a running API, never harmed.

use crate::env;

use env::local_api::{FakeCheckout, Traffic, dashboard_owner, look, number, pending_claim, text};
use env::{TestEnv, mode};
use rusqlite::Connection;
use sigilum_authz_notify::error::{Error, ExitCode};
use sigilum_authz_notify::sigilum::checkout::{Checkout, find_upward};
use sigilum_authz_notify::sigilum::local_db::{DbError, LocalDb, Opened, Problem};
use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

fn checkout(env: &TestEnv, fake: &FakeCheckout) -> Checkout {
    Checkout::open(&fake.root, &env.openclaw()).unwrap()
}

#[track_caller]
fn open(path: &Path, checkout: Option<&Checkout>) -> Opened {
    LocalDb::open_or_create(path, checkout).unwrap()
}

/// Table name → its columns, each with type, "not null", default and place in the primary key.
fn tables(db: &Connection) -> BTreeMap<String, Vec<String>> {
    let mut query = db
        .prepare(
            "SELECT t.name, c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || coalesce(c.dflt_value, '-') || ' ' || c.pk
             FROM sqlite_schema t, pragma_table_info(t.name) c
             WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%' ORDER BY t.name, c.name",
        )
        .unwrap();
    let mut tables = BTreeMap::<String, Vec<String>>::new();
    let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    for row in rows {
        let (table, column): (String, String) = row.unwrap();
        tables.entry(table).or_default().push(column);
    }
    tables
}

#[test]
fn our_own_schema_is_what_the_migrations_end_in() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    let migrated = fake.wrangler();
    let embedded = env.sigilum("local-api.sqlite");
    let opened = open(&embedded, None);
    assert!(opened.created);
    opened.db.close().unwrap();

    let own = look(&embedded);
    let (ours, theirs) = (tables(&own), tables(&migrated));
    for table in [
        "d1_migrations",
        "users",
        "services",
        "service_api_keys",
        "authorizations",
    ] {
        assert_eq!(ours[table], theirs[table], "{table}");
    }
    assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
    let names = "SELECT group_concat(name, ' ') FROM (SELECT name FROM d1_migrations ORDER BY id)";
    assert_eq!(text(&own, names).unwrap(), fake.migrations().join(" "));
    assert_eq!(text(&own, "PRAGMA journal_mode").unwrap(), "wal");
    assert_eq!(number(&own, "PRAGMA page_size"), 4096);
    assert_eq!(text(&own, "PRAGMA encoding").unwrap(), "UTF-8");
    // One slug an owner, and a service goes with its owner.
    let unique = own.execute_batch(
        "INSERT INTO users (id, email, namespace) VALUES ('u', 'e', 'n');
         INSERT INTO services (id, owner_user_id, name, slug) VALUES ('a', 'u', 'x', 'x'), ('b', 'u', 'x', 'x');",
    );
    assert!(unique.unwrap_err().to_string().contains("UNIQUE"));
}

#[test]
fn new_files_and_folders_are_private() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    for (path, checkout) in [
        (env.sigilum("local-api.sqlite"), None),
        (fake.db(), Some(checkout(&env, &fake))),
        (env.home().join("named/by/hand.sqlite"), None),
    ] {
        let mut db = open(&path, checkout.as_ref()).db;
        db.ensure_owner("alice", "alice@local.sigilum").unwrap();
        for suffix in ["", "-wal", "-shm"] {
            assert_eq!(
                mode(format!("{}{suffix}", path.display())),
                0o600,
                "{}{suffix}",
                path.display()
            );
        }
        db.close().unwrap();
        assert_eq!(mode(path.parent().unwrap()), 0o700);
        let left: Vec<_> = std::fs::read_dir(path.parent().unwrap())
            .unwrap()
            .map(|file| file.unwrap().path())
            .collect();
        assert_eq!(left, [path]);
    }
}

#[test]
fn made_by_root_they_are_the_homes_owners() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let env = TestEnv::new();
    std::os::unix::fs::chown(env.home(), Some(12345), Some(54321)).unwrap();
    let path = env.sigilum("local-api.sqlite");
    let mut db = open(&path, None).db;
    db.ensure_owner("alice", "a@x").unwrap();
    for file in LocalDb::files(&path).iter().chain([&env.openclaw(), &env.sigilum("")]) {
        let about = std::fs::metadata(file).unwrap();
        assert_eq!((about.uid(), about.gid()), (12345, 54321), "{}", file.display());
    }
}

#[test]
fn what_a_killed_run_left_is_cleaned_up() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    let folder = fake.db().parent().unwrap().to_owned();
    std::fs::create_dir_all(&folder).unwrap();
    // Of another container, two hours old: nobody's any more.
    let leftover = folder.join(".sigilum-authz-notify-1-1-0-0123456789abcdef.tmp");
    std::fs::write(&leftover, "").unwrap();
    let old = std::time::SystemTime::now() - Duration::from_secs(7200);
    std::fs::File::open(&leftover).unwrap().set_modified(old).unwrap();
    drop(open(&fake.db(), Some(&checkout(&env, &fake))));
    assert!(!leftover.exists());
}

#[test]
fn a_checkouts_database_is_the_one_that_wrangler_makes() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    let checkout = checkout(&env, &fake);
    assert_eq!(
        checkout.api_db().unwrap(),
        fake.db().canonicalize().unwrap_or(fake.db())
    );

    let opened = open(&fake.db(), Some(&checkout));
    assert_eq!((opened.created, opened.migrated), (true, 20));
    let again = open(&fake.db(), Some(&checkout));
    assert_eq!((again.created, again.migrated), (false, 0));
    let db = look(&fake.db());
    assert_eq!(number(&db, "SELECT count(*) FROM d1_migrations"), 20);

    // A database that is newer than the checkout is fine.
    db.execute_batch("INSERT INTO d1_migrations (name) VALUES ('0099_later.sql')")
        .unwrap();
    std::fs::remove_file(fake.api("migrations/0021_create_usage_events.sql")).unwrap();
    assert_eq!(open(&fake.db(), Some(&checkout)).migrated, 0);
}

#[test]
fn migrating_an_older_database_loses_no_row() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    let old = fake.wrangler_up_to(17);
    dashboard_owner(&old, "usr_1", "alice", "alice@example.com");
    old.execute_batch(
        "INSERT INTO services (id, owner_user_id, name, slug) VALUES ('svc_1', 'usr_1', 'Mail', 'mail');
         INSERT INTO service_api_keys (id, service_id, key_prefix, key_hash) VALUES ('key_1', 'svc_1', '...abcd', 'ff');",
    )
    .unwrap();
    drop(old);
    // 0018 rebuilds `services`, which `service_api_keys` refers to.
    assert_eq!(open(&fake.db(), Some(&checkout(&env, &fake))).migrated, 4);
    let db = look(&fake.db());
    assert_eq!(
        number(
            &db,
            "SELECT count(*) FROM service_api_keys k JOIN services s ON s.id = k.service_id"
        ),
        1
    );
    assert_eq!(number(&db, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

#[test]
fn a_failed_migration_is_named_and_leaves_nothing_behind() {
    let env = TestEnv::new();
    for (case, sql, reason) in [
        (
            "wrong SQL",
            "CREATE TABLE half (a);\nALTER TABLE absent ADD COLUMN b;",
            "no such table: absent",
        ),
        (
            "attaches",
            "CREATE TABLE half (a);\nATTACH '/tmp/elsewhere.db' AS other;",
            "attaches a database",
        ),
        ("attaches by VACUUM", "VACUUM INTO '/tmp/elsewhere.db';", "VACUUM"),
        (
            "commits",
            "CREATE TABLE half (a);\nCOMMIT;\nCREATE TABLE more (a);",
            "ends a transaction",
        ),
        ("savepoint", "SAVEPOINT x;", "ends a transaction"),
        (
            "breaks references",
            "PRAGMA foreign_keys=OFF;\nDELETE FROM users;",
            "refer to rows which are gone",
        ),
        (
            "breaks references late",
            "PRAGMA defer_foreign_keys=ON;\nDELETE FROM users WHERE 0;\nINSERT INTO services (id, owner_user_id, name, slug) VALUES ('x','nobody','x','x');",
            "FOREIGN KEY",
        ),
    ] {
        let fake = FakeCheckout::new(&env);
        let _ = std::fs::remove_dir_all(fake.api(".wrangler"));
        let db = fake.wrangler();
        dashboard_owner(&db, "usr_1", "alice", "alice@example.com");
        db.execute_batch("INSERT INTO services (id, owner_user_id, name, slug) VALUES ('s', 'usr_1', 'x', 'x')")
            .unwrap();
        env.write("sigilum/apps/api/migrations/0022_bad.sql", sql);
        env.write("sigilum/apps/api/migrations/0023_good.sql", "CREATE TABLE later (a);");

        let error = LocalDb::open_or_create(&fake.db(), Some(&checkout(&env, &fake))).unwrap_err();
        let told = Error::from(error);
        assert_eq!(told.code, ExitCode::SecretOrDatabase, "{case}");
        assert!(told.to_string().contains("0022_bad.sql"), "{case}: {told}");
        assert!(told.to_string().contains(reason), "{case}: {told}");
        assert_eq!(
            number(
                &db,
                "SELECT count(*) FROM sqlite_schema WHERE name IN ('half', 'more', 'later')"
            ),
            0,
            "{case}"
        );
        assert_eq!(number(&db, "SELECT count(*) FROM d1_migrations"), 20, "{case}");
        assert_eq!(number(&db, "SELECT count(*) FROM users"), 1, "{case}");
        assert!(!Path::new("/tmp/elsewhere.db").exists(), "{case}");

        // Mended, the rest runs.
        env.write("sigilum/apps/api/migrations/0022_bad.sql", "CREATE TABLE half (a);");
        assert_eq!(open(&fake.db(), Some(&checkout(&env, &fake))).migrated, 2, "{case}");
        std::fs::remove_dir_all(&fake.root).unwrap();
    }
}

/// What was never run is not recorded as if it had been.
#[test]
fn a_migration_whose_file_is_gone_is_named_and_not_recorded() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    let db = fake.wrangler();
    let late = fake.api("migrations/0022_late.sql");
    std::os::unix::fs::symlink("nowhere.sql", &late).unwrap();
    let error = LocalDb::open_or_create(&fake.db(), Some(&checkout(&env, &fake))).unwrap_err();
    let told = Error::from(error).to_string();
    assert!(told.contains("0022_late.sql failed: its file is gone"), "{told}");
    assert_eq!(number(&db, "SELECT count(*) FROM d1_migrations"), 20);
    std::fs::remove_file(&late).unwrap();
    std::fs::write(&late, "CREATE TABLE late (a);").unwrap();
    assert_eq!(open(&fake.db(), Some(&checkout(&env, &fake))).migrated, 1);
}

#[test]
fn a_named_file_is_used_as_it_is() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    drop(fake.wrangler_up_to(18));
    let opened = open(&fake.db(), None);
    assert_eq!((opened.created, opened.migrated), (false, 0));
    assert_eq!(number(&look(&fake.db()), "SELECT count(*) FROM d1_migrations"), 17);

    // A file whose making was cut short is finished.
    let empty = env.write("empty.sqlite", "");
    assert!(open(&empty, None).created);

    for (case, path) in [
        ("another program's database", env.home().join("other.sqlite")),
        (
            "not SQLite",
            env.write(
                "text.sqlite",
                "no database at all, but long enough to have a header".repeat(9),
            ),
        ),
    ] {
        if !path.exists() {
            Connection::open(&path)
                .unwrap()
                .execute_batch("CREATE TABLE bookmarks (url)")
                .unwrap();
        }
        let before = std::fs::read(&path).unwrap();
        let error = LocalDb::open_or_create(&path, None).unwrap_err();
        assert!(matches!(error.problem, Problem::NotSigilum), "{case}: {error}");
        assert_eq!(std::fs::read(&path).unwrap(), before, "{case}");
    }
}

#[test]
fn read_only_never_creates_nor_migrates() {
    let env = TestEnv::new();
    let missing = env.home().join("nowhere/api.sqlite");
    let error = LocalDb::open_read_only(&missing).unwrap_err();
    assert!(matches!(error.problem, Problem::Missing), "{error}");
    assert!(!missing.parent().unwrap().exists());

    let fake = FakeCheckout::new(&env);
    drop(fake.wrangler_up_to(18));
    let before = std::fs::read(fake.db()).unwrap();
    let mut db = LocalDb::open_read_only(&fake.db()).unwrap();
    assert_eq!(db.owner("alice").unwrap(), None);
    db.ensure_owner("alice", "alice@local.sigilum").unwrap_err();
    db.close().unwrap();
    assert_eq!(std::fs::read(fake.db()).unwrap(), before);
    assert_eq!(
        std::fs::read_dir(fake.db().parent().unwrap()).unwrap().count(),
        1,
        "no -wal, no -shm"
    );

    let planted = env.home().join("planted.sqlite");
    std::os::unix::fs::symlink(fake.db(), &planted).unwrap();
    LocalDb::open_read_only(&planted).unwrap_err();
    LocalDb::open_or_create(&planted, None).unwrap_err();
}

#[test]
fn owners() {
    let env = TestEnv::new();
    let path = env.sigilum("local-api.sqlite");
    let mut db = open(&path, None).db;
    let alice = db.ensure_owner("alice", "alice@local.sigilum").unwrap();
    assert_eq!(
        (alice.id.as_str(), alice.email.as_str(), alice.created),
        ("user_local_alice", "alice@local.sigilum", true)
    );
    let seen = look(&path);
    let row = "SELECT plan || ' ' || settings || ' ' || (created_at GLOB '[0-9]*-??-??T??:??:??.???Z') FROM users";
    assert_eq!(text(&seen, row).unwrap(), "free {} 1");

    // The owner exists: its own id and e-mail, and nothing is written.
    dashboard_owner(&seen, "usr_9", "bob", "bob@example.com");
    let version = |db: &Connection| number(db, "PRAGMA data_version");
    let before = version(&seen);
    let bob = db.ensure_owner("bob", "other@example.com").unwrap();
    assert_eq!(
        (bob.id.as_str(), bob.email.as_str(), bob.created),
        ("usr_9", "bob@example.com", false)
    );
    assert!(!db.ensure_owner("alice", "new@example.com").unwrap().created);
    assert_eq!(version(&seen), before);

    for (namespace, email, next) in [
        ("carol", "bob@example.com", "--email"),
        ("dave", "alice@local.sigilum", "--email"),
    ] {
        let error = db.ensure_owner(namespace, email).unwrap_err();
        assert!(matches!(error.problem, Problem::EmailTaken { .. }), "{error}");
        let told = Error::from(error);
        assert!(told.to_string().contains(next), "{told}");
        assert_eq!(told.code, ExitCode::Usage);
    }
    dashboard_owner(&seen, "user_local_erin", "frank", "frank@example.com");
    assert!(matches!(
        db.ensure_owner("erin", "erin@x").unwrap_err().problem,
        Problem::UserIdTaken(_)
    ));
    assert_eq!(number(&seen, "SELECT count(*) FROM users"), 3);
}

#[test]
fn beside_a_running_api() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    pending_claim(&fake.wrangler(), "alice", "mail", "cl_1", 5);
    let traffic = Traffic::on(&fake.db());
    let checkout = checkout(&env, &fake);
    let mut slowest = Duration::ZERO;
    let mut rounds = 0;
    // On a busy machine the API needs more of them.
    while rounds < 100 || traffic.writes() <= 50 {
        rounds += 1;
        let start = Instant::now();
        let mut db = open(&fake.db(), Some(&checkout)).db;
        let namespace = format!("ns-{rounds}");
        assert!(db.ensure_owner(&namespace, &format!("{namespace}@x")).unwrap().created);
        db.close().unwrap();
        slowest = slowest.max(start.elapsed());
    }
    let counts = traffic.stop();
    eprintln!("slowest round {slowest:?}, the API: {counts:?}");
    assert!(counts.writes > 50 && counts.reads > 50, "{counts:?}");
    assert!(counts.refused_reads == 0, "{counts:?}");
    let db = look(&fake.db());
    assert_eq!(number(&db, "SELECT count(*) FROM users"), rounds);
    assert_eq!(number(&db, "SELECT count(*) FROM traffic"), i64::from(counts.writes));
    assert_eq!(text(&db, "PRAGMA integrity_check").unwrap(), "ok");
}

#[test]
fn another_writers_lock_is_waited_for_but_not_for_ever() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    let other = fake.wrangler_up_to(19);
    let checkout = checkout(&env, &fake);

    // Freed in time: migrations and owner wait.
    other
        .execute_batch("BEGIN IMMEDIATE; INSERT INTO users (id, email, namespace) VALUES ('u', 'e', 'n')")
        .unwrap();
    let path = fake.db();
    let ours = std::thread::spawn(move || {
        let mut opened = open(&path, Some(&checkout));
        (opened.migrated, opened.db.ensure_owner("alice", "a@x").unwrap().created)
    });
    std::thread::sleep(Duration::from_millis(400));
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(ours.join().unwrap(), (2, true));

    // Held on: an error after 5 s. Reading goes on meanwhile.
    other
        .execute_batch("BEGIN IMMEDIATE; INSERT INTO users (id, email, namespace) VALUES ('v', 'f', 'm')")
        .unwrap();
    let mut db = open(&fake.db(), None).db;
    assert!(!db.ensure_owner("alice", "a@x").unwrap().created);
    let start = Instant::now();
    let error = db.ensure_owner("carol", "c@x").unwrap_err();
    assert!(matches!(error.problem, Problem::Busy), "{error}");
    assert!((4..30).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

#[test]
fn many_at_once_make_one_database() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    for (path, checkout) in [
        (env.sigilum("local-api.sqlite"), None),
        (fake.db(), Some(checkout(&env, &fake))),
    ] {
        let created: Vec<bool> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| {
                        let mut db = open(&path, checkout.as_ref()).db;
                        let row = db.ensure_owner("alice", "a@x").unwrap();
                        db.close().unwrap();
                        row.created
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(created.iter().filter(|created| **created).count(), 1);
        let db = look(&path);
        assert_eq!(number(&db, "SELECT count(*) FROM d1_migrations"), 20);
        assert_eq!(text(&db, "PRAGMA integrity_check").unwrap(), "ok");
    }
}

#[test]
fn a_checkout_that_others_can_change_is_refused() {
    let env = TestEnv::new();
    let chmod = |path: &Path, mode: u32| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let use_it = |fake: &FakeCheckout| -> Result<(), Error> {
        let checkout = Checkout::open(&fake.root, &env.openclaw())?;
        checkout.jwt_secret()?;
        let db = LocalDb::open_or_create(&checkout.api_db()?, Some(&checkout))
            .map_err(|error: DbError| Error::from(error))?;
        drop(db);
        Ok(())
    };
    for (part, bad) in [
        ("", 0o777),
        ("apps", 0o757),
        ("apps/api", 0o1777),
        ("apps/api/wrangler.toml", 0o666),
        ("apps/api/.dev.vars", 0o602),
        ("apps/api/migrations", 0o777),
        ("apps/api/migrations/0000_initial.sql", 0o666),
        ("apps/api/.wrangler", 0o777),
    ] {
        let fake = FakeCheckout::new(&env);
        std::fs::create_dir(fake.api(".wrangler")).unwrap();
        chmod(&fake.root.join(part), bad);
        let error = use_it(&fake).unwrap_err();
        assert_eq!(error.code, ExitCode::SecretOrDatabase, "{part}");
        assert!(
            error.to_string().contains("everybody may write to it"),
            "{part}: {error}"
        );
        std::fs::remove_dir_all(&fake.root).unwrap();
    }

    // A group of one's own, as umask 002 makes it, is no reason; nor are files that all may read.
    let fake = FakeCheckout::new(&env);
    for part in ["", "apps", "apps/api", "apps/api/migrations"] {
        chmod(&fake.root.join(part), 0o775);
    }
    chmod(&fake.api(".dev.vars"), 0o644);
    use_it(&fake).unwrap();

    // A folder above it that everybody may write to, unless it is sticky.
    chmod(env.home(), 0o777);
    assert!(use_it(&fake).unwrap_err().to_string().contains("everybody may replace"));
    chmod(env.home(), 0o1777);
    use_it(&fake).unwrap();

    // Someone else's; only root can set this up, and root believes the owner of the OpenClaw home it works in.
    if rustix::process::geteuid().is_root() {
        chmod(env.home(), 0o700);
        for part in ["", "apps", "apps/api", "apps/api/wrangler.toml"] {
            std::os::unix::fs::chown(fake.root.join(part), Some(12345), None).unwrap();
        }
        assert!(
            use_it(&fake)
                .unwrap_err()
                .to_string()
                .contains("another user (uid 12345)")
        );
        std::fs::create_dir(env.openclaw()).unwrap();
        std::os::unix::fs::chown(env.openclaw(), Some(12345), None).unwrap();
        use_it(&fake).unwrap();
    }
}

#[test]
fn what_a_checkout_says() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    let deep = fake.root.join("packages/deep/below");
    std::fs::create_dir_all(&deep).unwrap();
    assert_eq!(find_upward(&deep), Some(fake.root.clone()));
    assert_eq!(find_upward(env.home()), None);

    use secrecy::ExposeSecret;
    let secret = checkout(&env, &fake).jwt_secret().unwrap().unwrap();
    assert_eq!(secret.expose_secret(), env::local_api::JWT_SECRET);
    for (vars, is_set) in [("JWT_SECRET=\n", false), ("OTHER=1\n", false), ("JWT_SECRET=x", true)] {
        env.write("sigilum/apps/api/.dev.vars", vars);
        assert_eq!(
            checkout(&env, &fake).jwt_secret().unwrap().is_some(),
            is_set,
            "{vars:?}"
        );
    }
    std::fs::remove_file(fake.api(".dev.vars")).unwrap();
    assert!(checkout(&env, &fake).jwt_secret().unwrap().is_none());

    std::fs::rename(fake.api("wrangler.toml"), fake.api("wrangler.toml.example")).unwrap();
    assert_eq!(find_upward(&deep), Some(fake.root.clone()));
    assert!(
        checkout(&env, &fake)
            .api_db()
            .unwrap()
            .ends_with(fake.db().file_name().unwrap())
    );

    std::fs::remove_file(fake.api("wrangler.toml.example")).unwrap();
    let error = Checkout::open(&fake.root, &env.openclaw()).unwrap_err();
    assert!(
        error.to_string().contains("could not find apps/api/wrangler.toml"),
        "{error}"
    );
}
