//! A local Sigilum API without the API: a source checkout, the database that wrangler would have made, and the traffic
//! of a running API on it.

use super::TestEnv;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// The JWT secret of the fake checkout.
pub const JWT_SECRET: &str = "a-secret-of-the-test-checkout-only";
/// The D1 file of the fixture's `wrangler.toml`.
pub const D1_ID: &str = "4fee7a4c2340aac9e859df89f64a9494981d1e33de9b3064f60a31f7eec991ab";

/// A source checkout in the person's home, at `~/sigilum`.
pub struct FakeCheckout {
    pub root: PathBuf,
}

impl FakeCheckout {
    /// Copies the fixture; `.dev.vars` holds [`JWT_SECRET`]. There is no database yet.
    pub fn new(env: &TestEnv) -> Self {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/checkout");
        let copy = |name: &str| {
            env.write(
                format!("sigilum/apps/api/{name}"),
                std::fs::read(fixture.join(name)).unwrap(),
            );
        };
        copy("wrangler.toml");
        for file in std::fs::read_dir(fixture.join("migrations")).unwrap() {
            copy(&format!("migrations/{}", file.unwrap().file_name().to_str().unwrap()));
        }
        env.write(
            "sigilum/apps/api/.dev.vars",
            format!("# local only\nJWT_SECRET=\"{JWT_SECRET}\" # quoted\n"),
        );
        Self {
            root: env.home().join("sigilum"),
        }
    }

    /// `apps/api/<name>`
    pub fn api(&self, name: &str) -> PathBuf {
        self.root.join("apps/api").join(name)
    }

    /// The file of the API's database.
    pub fn db(&self) -> PathBuf {
        self.api(".wrangler/state/v3/d1/miniflare-D1DatabaseObject")
            .join(format!("{D1_ID}.sqlite"))
    }

    /// The names of its migrations, in order.
    pub fn migrations(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.api("migrations"))
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Makes the database as `wrangler d1 migrations apply --local` does, up to the migration of that number.
    pub fn wrangler_up_to(&self, number: u32) -> Connection {
        std::fs::create_dir_all(self.db().parent().unwrap()).unwrap();
        let db = Connection::open(self.db()).unwrap();
        db.pragma_update(None, "journal_mode", "wal").unwrap();
        db.execute_batch(
            "CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE,
               applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)",
        )
        .unwrap();
        for name in self
            .migrations()
            .into_iter()
            .filter(|name| name[..4].parse::<u32>().unwrap() <= number)
        {
            db.execute_batch(&std::fs::read_to_string(self.api("migrations").join(&name)).unwrap())
                .unwrap();
            db.execute("INSERT INTO d1_migrations (name) VALUES (?1)", [name])
                .unwrap();
        }
        db
    }

    /// Makes the database with all migrations.
    pub fn wrangler(&self) -> Connection {
        self.wrangler_up_to(u32::MAX)
    }
}

/// Opens a database for a look from outside.
pub fn look(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap()
}

/// What the API does when it is asked with a service key.
pub fn use_key(db: &Connection, key: &str) {
    db.busy_timeout(Duration::from_secs(5)).unwrap();
    let sql = "UPDATE service_api_keys SET last_used_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now') WHERE key_hash = ?1";
    db.execute(sql, [super::services::sha256(key)]).unwrap();
}

/// One text value.
#[track_caller]
pub fn text(db: &Connection, sql: &str) -> Option<String> {
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// One number.
#[track_caller]
pub fn number(db: &Connection, sql: &str) -> i64 {
    db.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// Adds a namespace owner as the dashboard does: an id that says nothing.
pub fn dashboard_owner(db: &Connection, id: &str, namespace: &str, email: &str) {
    db.execute(
        "INSERT INTO users (id, email, namespace) VALUES (?1, ?2, ?3)",
        [id, email, namespace],
    )
    .unwrap();
}

/// Adds a pending claim; `age` is how many seconds ago it came.
pub fn pending_claim(db: &Connection, namespace: &str, service: &str, claim_id: &str, age: u32) {
    db.execute(
        "INSERT INTO authorizations (namespace, service, public_key, claim_id, agent_ip, created_at, agent_name)
         VALUES (?1, ?2, 'ed25519:' || ?3, ?3, '127.0.0.1', strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ?4), 'agent')",
        [namespace, service, claim_id, &format!("-{age} seconds")],
    )
    .unwrap();
}

/// A running API: reads and writes all the time and, like the real one, does not wait for locks.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    writes: Arc<AtomicU32>,
    thread: JoinHandle<Counts>,
}

/// What the traffic saw.
#[derive(Debug, Default)]
pub struct Counts {
    pub reads: u32,
    pub writes: u32,
    /// Writes that the API would have answered with 500, because someone else was writing.
    pub refused: u32,
    /// Reads that the API would have answered with 503.
    pub refused_reads: u32,
}

impl Traffic {
    pub fn on(path: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let writes = Arc::new(AtomicU32::new(0));
        let (path, told, written) = (path.to_owned(), stop.clone(), writes.clone());
        let (ready, started) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let db = look(&path);
            db.busy_timeout(Duration::ZERO).unwrap();
            let mut counts = Counts::default();
            db.execute_batch("CREATE TABLE IF NOT EXISTS traffic (n INTEGER)")
                .unwrap();
            ready.send(()).unwrap();
            while !told.load(Ordering::Relaxed) {
                match db.query_row("SELECT count(*) FROM authorizations", [], |row| row.get::<_, i64>(0)) {
                    Ok(_) => counts.reads += 1,
                    Err(_) => counts.refused_reads += 1,
                }
                match db.execute("INSERT INTO traffic VALUES (1)", []) {
                    Ok(_) => {
                        counts.writes += 1;
                        written.store(counts.writes, Ordering::Relaxed);
                    }
                    Err(_) => counts.refused += 1,
                }
                std::thread::sleep(Duration::from_micros(200));
            }
            counts
        });
        started.recv().unwrap();
        Self { stop, writes, thread }
    }

    /// How many writes were done so far.
    pub fn writes(&self) -> u32 {
        self.writes.load(Ordering::Relaxed)
    }

    pub fn stop(self) -> Counts {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
