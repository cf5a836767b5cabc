//! Services and their keys in the local API database: rows as the API and the gateway read them.

use crate::env;

use env::local_api::{FakeCheckout, Traffic, dashboard_owner, look, number, text};
use env::{TestEnv, mode};
use rusqlite::Connection;
use secrecy::{ExposeSecret, SecretString};
use sigilum_authz_notify::env::Env;
use sigilum_authz_notify::error::ExitCode;
use sigilum_authz_notify::request::Which;
use sigilum_authz_notify::sigilum::checkout::Checkout;
use sigilum_authz_notify::sigilum::local_db::{
    Change, KeyDigest, KeyState, LocalDb, NewService, Problem, Registered, ServiceKind,
};
use sigilum_authz_notify::sigilum::secrets::{Workspace, new_key};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

const KEY: &str = "sk_live_0123456789abcdef0123456789abcdef0123456789ab34dc";

fn digest(key: &str) -> KeyDigest {
    KeyDigest::of(&SecretString::from(key))
}

fn a_key() -> KeyDigest {
    KeyDigest::of(&new_key().unwrap())
}

fn new<'a>(namespace: &'a str, slug: &'a str, key: &'a KeyDigest, file_stem: &'a str) -> NewService<'a> {
    NewService {
        namespace,
        email: "who@local.sigilum",
        slug,
        name: None,
        domain: None,
        description: None,
        kind: ServiceKind::Native,
        key,
        file_stem,
        revoke_others: false,
    }
}

fn database(env: &TestEnv) -> (LocalDb, Connection) {
    let fake = FakeCheckout::new(env);
    let seen = fake.wrangler();
    (LocalDb::open_or_create(&fake.db(), None).unwrap().db, seen)
}

/// The columns of the only row, joined by `|`.
fn row(db: &Connection, columns: &str, table: &str) -> String {
    text(db, &format!("SELECT concat_ws('|', {columns}) FROM {table}")).unwrap()
}

#[test]
fn the_rows_of_a_new_service() {
    for (kind, name, description) in [
        (
            ServiceKind::Native,
            "Native service key (local cli)",
            "Local native Sigilum service.",
        ),
        (
            ServiceKind::Gateway,
            "Gateway proxy service key (local cli)",
            "Local proxy service routed through Sigilum gateway.",
        ),
    ] {
        let env = TestEnv::new();
        let (mut db, seen) = database(&env);
        let key = digest(KEY);
        let wanted = NewService {
            kind,
            ..new("alice", "mail", &key, "mail")
        };

        let planned = db.plan_register(&wanted).unwrap();
        assert_eq!(number(&seen, "SELECT count(*) FROM users"), 0);
        let done = db.register(&wanted).unwrap();
        assert_eq!(done, planned);
        assert_eq!(
            (done.service, done.key, done.owner.created),
            (Change::Created, Change::Created, true)
        );

        assert_eq!(
            row(&seen, "id, email, namespace, plan, settings", "users"),
            "user_local_alice|who@local.sigilum|alice|free|{}"
        );
        assert_eq!(
            row(
                &seen,
                "id, owner_user_id, name, slug, domain, description, updated_at IS NOT NULL",
                "services"
            ),
            format!("svc_local_mail|user_local_alice|mail|mail|localhost|{description}|1")
        );
        // sha256sum of the key
        let hash = hex_sha256(KEY);
        assert_eq!(
            row(
                &seen,
                "id, service_id, name, key_prefix, key_hash, coalesce(revoked_at, '-')",
                "service_api_keys"
            ),
            format!("key_local_mail_{}|svc_local_mail|{name}|...34dc|{hash}|-", &hash[..12])
        );
        let iso = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9].[0-9][0-9][0-9]Z";
        for (table, column) in [
            ("services", "created_at"),
            ("services", "updated_at"),
            ("service_api_keys", "created_at"),
        ] {
            assert_eq!(
                number(&seen, &format!("SELECT {column} GLOB '{iso}' FROM {table}")),
                1,
                "{table}.{column}"
            );
        }
    }
}

fn hex_sha256(text: &str) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(text))
}

#[test]
fn once_more_changes_only_what_is_asked_for() {
    let env = TestEnv::new();
    let (mut db, seen) = database(&env);
    let key = digest(KEY);
    let first = NewService {
        name: Some("Mail"),
        description: Some("Letters"),
        ..new("alice", "mail", &key, "mail")
    };
    db.register(&first).unwrap();

    let version = |db: &Connection| number(db, "PRAGMA data_version");
    let before = version(&seen);
    let again = db.register(&new("alice", "mail", &key, "mail")).unwrap();
    assert_eq!((again.service, again.key), (Change::Unchanged, Change::Unchanged));
    assert_eq!(version(&seen), before, "nothing was written");

    let renamed = NewService {
        domain: Some("mail.example"),
        ..new("alice", "mail", &key, "mail")
    };
    assert_eq!(db.register(&renamed).unwrap().service, Change::Updated);
    assert_eq!(
        row(&seen, "id, name, domain, description", "services"),
        "svc_local_mail|Mail|mail.example|Letters"
    );
}

#[test]
fn owners_and_services_from_the_dashboard_keep_their_ids() {
    let env = TestEnv::new();
    let (mut db, seen) = database(&env);
    dashboard_owner(&seen, "usr_1", "alice", "alice@example.com");
    seen.execute_batch(
        "INSERT INTO services (id, owner_user_id, name, slug) VALUES ('srv_77', 'usr_1', 'Mail', 'mail')",
    )
    .unwrap();
    let slot = db.slot("alice", "mail").unwrap();
    assert_eq!(
        (slot.id.as_str(), slot.file_stem.as_str(), slot.taken_by),
        ("srv_77", "mail", None)
    );
    let key = digest(KEY);
    let done = db.register(&new("alice", "mail", &key, "mail")).unwrap();
    assert_eq!(
        (done.owner.id.as_str(), done.owner.email.as_str()),
        ("usr_1", "alice@example.com")
    );
    assert_eq!((done.service_id.as_str(), done.service), ("srv_77", Change::Unchanged));
    assert_eq!(row(&seen, "service_id", "service_api_keys"), "srv_77");
}

#[test]
fn a_slug_of_another_namespace() {
    let env = TestEnv::new();
    let (mut db, seen) = database(&env);
    let (alices, bobs) = (a_key(), a_key());
    db.register(&new("alice", "mail", &alices, "mail")).unwrap();

    let slot = db.slot("bob", "mail").unwrap();
    assert_eq!(slot.taken_by.as_deref(), Some("alice"));
    assert_eq!(
        (slot.id.as_str(), slot.file_stem.as_str()),
        ("svc_local_bob_mail", "bob_mail")
    );
    assert_eq!(slot.service, None);

    // A slot looked at too early, and alice's key from the shared file: both are refused.
    let bob = |key, stem| NewService {
        email: "bob@x",
        ..new("bob", "mail", key, stem)
    };
    assert!(matches!(
        db.register(&bob(&bobs, "mail")).unwrap_err().problem,
        Problem::SlugTaken(_)
    ));
    assert!(matches!(
        db.register(&bob(&alices, "bob_mail")).unwrap_err().problem,
        Problem::KeyOfAnother
    ));
    assert_eq!(number(&seen, "SELECT count(*) FROM users"), 1);

    let done = db.register(&bob(&bobs, "bob_mail")).unwrap();
    assert_eq!(done.service_id, "svc_local_bob_mail");
    assert_eq!(
        text(
            &seen,
            "SELECT owner_user_id FROM services WHERE id = 'svc_local_bob_mail'"
        )
        .unwrap(),
        "user_local_bob"
    );

    // Both stay what they are, also when the first one goes.
    assert_eq!(db.slot("alice", "mail").unwrap().file_stem, "mail");
    seen.execute_batch("DELETE FROM services WHERE id = 'svc_local_mail'")
        .unwrap();
    assert_eq!(
        number(&seen, "SELECT count(*) FROM service_api_keys"),
        1,
        "its keys went with it"
    );
    let slot = db.slot("bob", "mail").unwrap();
    assert_eq!((slot.file_stem.as_str(), slot.taken_by), ("bob_mail", None));
    assert!(!slot.service.unwrap().goes_by_slug && !db.services("bob").unwrap()[0].goes_by_slug);
    assert_eq!(db.slot("carol", "mail").unwrap().id, "svc_local_mail");
}

#[test]
fn who_has_a_slug_first() {
    // Rows (id, namespace, created_at) of one slug → who goes by the slug alone.
    for (case, rows, first) in [
        (
            "upstream's row",
            vec![
                ("srv_1", "alice", "2026-01-01"),
                ("svc_local_mail", "bob", "2026-02-01"),
            ],
            "bob",
        ),
        (
            "the older row",
            vec![("srv_2", "alice", "2026-01-01"), ("srv_1", "bob", "2026-02-01")],
            "alice",
        ),
        (
            "not one that came second",
            vec![
                ("svc_local_alice_mail", "alice", "2026-01-01"),
                ("srv_1", "bob", "2026-02-01"),
            ],
            "bob",
        ),
    ] {
        let env = TestEnv::new();
        let (db, seen) = database(&env);
        for (id, namespace, created) in rows {
            dashboard_owner(&seen, namespace, namespace, namespace);
            seen.execute(
                "INSERT INTO services (id, owner_user_id, name, slug, created_at) VALUES (?1, ?2, 'x', 'mail', ?3)",
                [id, namespace, created],
            )
            .unwrap();
        }
        for namespace in ["alice", "bob"] {
            let slot = db.slot(namespace, "mail").unwrap();
            let (stem, taken_by) = if namespace == first {
                ("mail".to_owned(), None)
            } else {
                (format!("{namespace}_mail"), Some(first.to_owned()))
            };
            assert_eq!((slot.file_stem, slot.taken_by), (stem, taken_by), "{case}: {namespace}");
            assert_eq!(
                db.services(namespace).unwrap()[0].goes_by_slug,
                namespace == first,
                "{case}: {namespace}"
            );
        }
    }
}

#[test]
fn keys_are_listed_and_revoked_only_when_asked() {
    let env = TestEnv::new();
    let (mut db, seen) = database(&env);
    let (old, lost, key) = (a_key(), a_key(), a_key());
    db.register(&new("alice", "mail", &old, "mail")).unwrap();
    db.register(&new("alice", "mail", &lost, "mail")).unwrap();
    let prefixes = |done: &Registered| done.other_keys.iter().map(|key| key.prefix.clone()).collect::<Vec<_>>();

    let done = db.register(&new("alice", "mail", &key, "mail")).unwrap();
    let mut others = vec![old.prefix.clone(), lost.prefix.clone()];
    others.sort();
    let mut listed = prefixes(&done);
    listed.sort();
    assert_eq!((listed, done.revoked), (others, false));
    assert_eq!(db.active_keys(&done.service_id).unwrap().len(), 3);

    let done = db
        .register(&NewService {
            revoke_others: true,
            ..new("alice", "mail", &key, "mail")
        })
        .unwrap();
    assert_eq!(
        (done.other_keys.len(), done.revoked, done.key),
        (2, true, Change::Unchanged)
    );
    assert_eq!(
        number(
            &seen,
            "SELECT count(*) FROM service_api_keys WHERE revoked_at IS NOT NULL"
        ),
        2
    );
    assert_eq!(
        db.key_state(&old).unwrap(),
        KeyState::Revoked("svc_local_mail".to_owned())
    );
    assert_eq!(
        db.key_state(&key).unwrap(),
        KeyState::Active("svc_local_mail".to_owned())
    );
    assert_eq!(db.key_state(&a_key()).unwrap(), KeyState::Unknown);

    // A revoked key does not come back.
    assert!(matches!(
        db.register(&new("alice", "mail", &old, "mail")).unwrap_err().problem,
        Problem::KeyRevoked
    ));

    // Rotation: the new key beside the old one, then the old one goes.
    let next = a_key();
    db.register(&new("alice", "mail", &next, "mail")).unwrap();
    let gone = db.revoke_keys("svc_local_mail", Some(&next)).unwrap();
    assert_eq!(
        gone.iter().map(|key| key.hash.as_str()).collect::<Vec<_>>(),
        [key.hash.as_str()]
    );
    assert_eq!(db.revoke_keys("svc_local_mail", Some(&next)).unwrap(), []);
    assert_eq!(db.revoke_keys("svc_local_mail", None).unwrap().len(), 1);
    assert_eq!(db.services("alice").unwrap()[0].active_api_keys, 0);
}

#[test]
fn services_of_one_namespace() {
    let env = TestEnv::new();
    let (mut db, _seen) = database(&env);
    for slug in ["zebra", "mail"] {
        db.register(&new("alice", slug, &a_key(), slug)).unwrap();
    }
    db.register(&NewService {
        email: "bob@x",
        ..new("bob", "other", &a_key(), "other")
    })
    .unwrap();
    let listed = db.services("alice").unwrap();
    assert_eq!(
        listed
            .iter()
            .map(|service| (service.slug.as_str(), service.active_api_keys))
            .collect::<Vec<_>>(),
        [("mail", 1), ("zebra", 1)]
    );
    assert_eq!(db.services("nobody").unwrap(), []);
}

#[test]
fn fifty_slugs_from_many_threads_beside_the_api() {
    let env = TestEnv::new();
    let fake = FakeCheckout::new(&env);
    drop(fake.wrangler());
    let traffic = Traffic::on(&fake.db());
    let path = fake.db();
    let slowest = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|worker| {
                let path = &path;
                scope.spawn(move || {
                    let mut slowest = Duration::ZERO;
                    for slug in (0..50).filter(|slug| slug % 8 == worker) {
                        let slug = format!("service-{slug}");
                        let start = Instant::now();
                        let mut db = LocalDb::open_or_create(path, None).unwrap().db;
                        assert_eq!(
                            db.register(&new("alice", &slug, &a_key(), &slug)).unwrap().key,
                            Change::Created
                        );
                        db.close().unwrap();
                        slowest = slowest.max(start.elapsed());
                    }
                    slowest
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).max().unwrap()
    });
    let counts = traffic.stop();
    eprintln!("slowest {slowest:?}; the API: {counts:?}");
    let db = look(&path);
    assert_eq!(
        number(
            &db,
            "SELECT count(*) FROM services s JOIN service_api_keys k ON k.service_id = s.id"
        ),
        50
    );
    assert_eq!(number(&db, "SELECT count(*) FROM users"), 1);
    assert_eq!(number(&db, "SELECT count(*) FROM traffic"), i64::from(counts.writes));
    assert_eq!(counts.refused_reads, 0, "{counts:?}");
    assert_eq!(text(&db, "PRAGMA integrity_check").unwrap(), "ok");
}

/// Another process makes the owner while we look: we see no owner, or that one, and no mixture.
#[test]
fn a_new_owner_is_seen_whole_by_whoever_looks_at_the_same_time() {
    const ROUNDS: usize = 200;
    let env = TestEnv::new();
    let (mut db, seen) = database(&env);
    let path = FakeCheckout::new(&env).db();
    let looking_for = AtomicUsize::new(0);
    let key = a_key();
    let register = |db: &mut LocalDb, round: usize, slug: &str, plan_only: bool| {
        let (namespace, key) = (format!("owner-{round}"), if plan_only { key.clone() } else { a_key() });
        let new = NewService {
            email: &format!("{namespace}@local.sigilum"),
            ..new(&namespace, slug, &key, slug)
        };
        if plan_only {
            db.plan_register(&new)
        } else {
            db.register(&new)
        }
        .unwrap()
    };
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut db = LocalDb::open_or_create(&path, None).unwrap().db;
            for round in 0..ROUNDS {
                looking_for.store(round, Ordering::Relaxed);
                while register(&mut db, round, &format!("planned-{round}"), true)
                    .owner
                    .created
                {}
                register(&mut db, round, &format!("second-{round}"), false);
            }
        });
        for round in 0..ROUNDS {
            while looking_for.load(Ordering::Relaxed) < round && !other.is_finished() {
                std::thread::yield_now();
            }
            register(&mut db, round, &format!("first-{round}"), false);
        }
    });
    assert_eq!(number(&seen, "SELECT count(*) FROM users"), ROUNDS as i64);
    assert_eq!(number(&seen, "SELECT count(*) FROM services"), 2 * ROUNDS as i64);
}

#[test]
fn pending_requests_as_the_api_answers() {
    let env = TestEnv::new();
    let (mut db, seen) = database(&env);
    assert_eq!(db.requests("alice", &Which::PENDING).unwrap().count(), (0, true));
    db.insert_sample_requests("alice").unwrap();
    db.insert_sample_requests("alice").unwrap();
    let two = db.requests("alice", &Which::PENDING).unwrap();
    assert_eq!(two.count(), (2, true));
    assert_eq!(
        two.requests[0].agent_name.as_deref(),
        Some("code-reviewer"),
        "newest first"
    );

    for n in 0..30 {
        env::local_api::pending_claim(&seen, "alice", &format!("s{n}"), &format!("c{n}"), 10_000 + n);
    }
    env::local_api::pending_claim(&seen, "bob", "s", "c-of-bob", 1);
    seen.execute_batch("UPDATE authorizations SET status = 'approved' WHERE claim_id = 'c29'; UPDATE authorizations SET agent_ip = x'00ff' WHERE claim_id = 'c0'").unwrap();
    let many = db.requests("alice", &Which::PENDING).unwrap();
    assert_eq!((many.requests.len(), many.total), (31, Some(31)));
    assert_eq!(many.requests[2].service.as_deref(), Some("s0"));
    assert_eq!(many.requests[2].agent_ip, None, "what is no text is left out");
    assert_eq!(many.requests[2].claim_id.as_deref(), Some("c0"));

    seen.execute_batch("BEGIN").unwrap();
    for n in 30..1100 {
        env::local_api::pending_claim(&seen, "alice", &format!("s{n}"), &format!("c{n}"), 10_000 + n);
    }
    seen.execute_batch("COMMIT").unwrap();
    let many = db.requests("alice", &Which::PENDING).unwrap();
    assert_eq!((many.requests.len(), many.total), (1000, Some(1101)));
}

#[test]
fn key_and_secret_files() {
    let env = TestEnv::new();
    let workspace = Workspace::find(&Env::default(), None, &env.openclaw()).unwrap();
    assert_eq!(workspace.dir(), env.openclaw().join(".sigilum-workspace"));
    std::fs::create_dir(env.openclaw()).unwrap();
    assert!(workspace.key("mail").unwrap().is_none());
    assert!(!workspace.dir().exists());

    let made = workspace.key_or_new("mail").unwrap();
    assert!(made.created);
    let file = workspace.key_file("mail");
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        format!("{}\n", made.secret.expose_secret())
    );
    assert_eq!((mode(&file), mode(workspace.dir())), (0o600, 0o700));
    let again = workspace.key_or_new("mail").unwrap();
    assert!(!again.created);
    assert_eq!(again.secret.expose_secret(), made.secret.expose_secret());

    workspace
        .store_upstream_secret("mail", &SecretString::from("upstream secret "))
        .unwrap();
    assert_eq!(mode(workspace.upstream_secret_file("mail")), 0o600);
    assert_eq!(
        workspace.upstream_secret("mail").unwrap().unwrap().expose_secret(),
        "upstream secret "
    );

    // Of many that make one at once, all get the same.
    let keys: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| workspace.key_or_new("race").unwrap().secret.expose_secret().to_owned()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|key| *key == keys[0]));

    // An empty file is filled; another text is never overwritten.
    env.write(".openclaw/.sigilum-workspace/service-api-key-empty", "\n");
    assert!(workspace.key_or_new("empty").unwrap().created);
    assert!(!workspace.key_or_new("empty").unwrap().created);
    let other = env.write(".openclaw/.sigilum-workspace/service-api-key-other", "my notes\n");
    let error = workspace.key_or_new("other").unwrap_err();
    assert_eq!(error.code, ExitCode::SecretOrDatabase);
    assert!(!error.to_string().contains("my notes"), "{error}");
    assert_eq!(std::fs::read_to_string(other).unwrap(), "my notes\n");

    // A planted link is neither read nor written through; a name that leads elsewhere is no name.
    let aim = env.write("elsewhere", "untouched");
    std::os::unix::fs::symlink(&aim, workspace.key_file("linked")).unwrap();
    workspace.key_or_new("linked").unwrap_err();
    workspace
        .store_upstream_secret("../../../elsewhere", &SecretString::from("x"))
        .unwrap_err();
    assert_eq!(std::fs::read_to_string(&aim).unwrap(), "untouched");
}

#[test]
fn the_workspace_in_force() {
    let openclaw = Path::new("/home/p/.openclaw");
    let checkout = Path::new("/home/p/sigilum");
    let set = Env::from_pairs([("GATEWAY_SIGILUM_HOME", "/srv/gateway")]);
    for (env, checkout, dir) in [
        (&set, Some(checkout), "/srv/gateway"),
        (&Env::default(), Some(checkout), "/home/p/sigilum/.sigilum-workspace"),
        (&Env::default(), None, "/home/p/.openclaw/.sigilum-workspace"),
    ] {
        assert_eq!(Workspace::find(env, checkout, openclaw).unwrap().dir(), Path::new(dir));
    }
}

#[test]
fn ten_thousand_services_are_quickly_listed() {
    let env = TestEnv::new();
    let (db, seen) = database(&env);
    seen.execute_batch(
        "INSERT INTO users (id, email, namespace) VALUES ('a', 'a', 'alice'), ('b', 'b', 'bob');
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
         INSERT INTO services (id, owner_user_id, name, slug) SELECT 's' || i, 'a', 'Service', 'slug-' || i FROM n;
         INSERT INTO service_api_keys (id, service_id, key_prefix, key_hash)
           SELECT 'k' || id || o.column1, id, '...', id || o.column1 FROM services, (VALUES (1), (2)) o;
         INSERT INTO services (id, owner_user_id, name, slug) SELECT 't' || id, 'b', name, slug FROM services;",
    )
    .unwrap();
    let start = Instant::now();
    let services = db.services("alice").unwrap();
    let took = start.elapsed();
    assert_eq!(services.len(), 10_000);
    assert!(
        services
            .iter()
            .all(|service| service.active_api_keys == 2 && service.goes_by_slug)
    );
    // A look at all keys for each service would take minutes here.
    eprintln!("listed in {took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}

/// Does nothing unless the test below starts it as a process of its own, which it then kills.
#[test]
fn child_that_registers_until_it_is_killed() {
    let Some(path) = std::env::var_os("REGISTER_IN") else {
        return;
    };
    let checkout = std::env::var_os("WITH_CHECKOUT").map(|root| a_checkout(Path::new(&root)));
    for round in 0.. {
        let mut db = LocalDb::open_or_create(Path::new(&path), checkout.as_ref()).unwrap().db;
        let slug = format!("slug-{}-{round}", std::process::id());
        db.register(&new("alice", &slug, &a_key(), &slug)).unwrap();
        db.close().unwrap();
    }
}

fn a_checkout(root: &Path) -> Checkout {
    Checkout::open(root, root).unwrap()
}

#[test]
fn killed_at_any_moment_the_database_is_whole() {
    let mut registered = 0;
    let mut round = 0_u64;
    // 32 kills; more, and later ones, on a machine so busy that none of them met any work.
    while round < 32 || (registered <= 3 && round < 400) {
        let env = TestEnv::new();
        let fake = FakeCheckout::new(&env);
        // With a checkout's 20 migrations, and with our own schema.
        let checkout = round.is_multiple_of(2).then(|| a_checkout(&fake.root));
        let path = if checkout.is_some() {
            fake.db()
        } else {
            env.sigilum("local-api.sqlite")
        };
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child
            .args([
                "--exact",
                "local_services::child_that_registers_until_it_is_killed",
                "--quiet",
            ])
            .env("REGISTER_IN", &path)
            .stdout(std::process::Stdio::null());
        if checkout.is_some() {
            child.env("WITH_CHECKOUT", &fake.root);
        }
        let mut child = child.spawn().unwrap();
        // Spread over start, making and the first registrations.
        std::thread::sleep(Duration::from_micros(1500 * (round + 1)));
        child.kill().unwrap();
        child.wait().unwrap();

        let mut db = LocalDb::open_or_create(&path, checkout.as_ref()).unwrap().db;
        db.register(&new("alice", "after", &a_key(), "after")).unwrap();
        db.close().unwrap();
        let seen = look(&path);
        assert_eq!(text(&seen, "PRAGMA integrity_check").unwrap(), "ok");
        assert_eq!(number(&seen, "SELECT count(*) FROM d1_migrations"), 20);
        let services = number(&seen, "SELECT count(*) FROM services");
        assert_eq!(
            services,
            number(&seen, "SELECT count(*) FROM service_api_keys"),
            "never one without the other"
        );
        registered = registered.max(services);
        round += 1;
    }
    assert!(registered > 3, "the kills came before any work: {registered}");
}
