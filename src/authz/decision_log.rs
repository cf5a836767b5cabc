//! Our own decisions: `.sigilum/decisions.jsonl`, 0600, a JSON object a line, only ever added to.
//!
//! A decision is two lines: the intent, on the disk before anything is sent, and the result. An intent without a result
//! is one of a run that was killed; the API is asked what became of it. Over 256 KiB the file becomes
//! `decisions.1.jsonl`, in place of the one before it.
//!
//! ```json
//! {"intent":"4f…","at":"2026-11-22T06:20:37Z","by":"alice","how":"asked","decision":"approve","claim_id":"cl_…",
//!  "namespace":"alice","api":"https://api.sigilum.id","service":"mail","public_key":"ed25519:…","until":1795332037}
//! {"result":"4f…","at":"2026-11-22T06:20:38Z","outcome":"done","answer":"approved"}
//! ```

use crate::error::{ExitCode, OrFail, Result};
use crate::fs;
use crate::home::OpenClawHome;
use crate::request::{AuthorizationRequest, Decision};
use crate::time;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The length at which a file is put away.
pub const ROTATE_AT: u64 = 256 * 1024;
/// The longest file that is read: nobody but us writes it.
const MAX_BYTES: u64 = 4 * 1024 * 1024;
/// Texts of strangers are kept so far, in characters.
const TEXT_MAX: usize = 200;

/// How a decision came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// Shown and asked at a terminal.
    Asked,
    /// `--yes`.
    Yes,
    /// A command in the chat.
    Chat,
    /// A command with a code of the owner's second factor, over a broker's socket.
    Code,
    /// The time of an approval was over; the watcher.
    TimeOver,
}

impl How {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Self::Asked => "asked at a terminal",
            Self::Yes => "--yes",
            Self::Chat => "in the chat",
            Self::Code => "with a code",
            Self::TimeOver => "time over",
        }
    }
}

/// What was about to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Tells decisions apart: 16 hexadecimal digits.
    pub intent: String,
    /// When: RFC 3339.
    pub at: String,
    /// The account of who decided; in the chat channel and sender, `telegram:123456789`; over a broker's socket the user
    /// who asked, and the sender that was named, `uid 1000 for telegram:123456789`.
    pub by: String,
    /// How.
    pub how: How,
    /// What.
    pub decision: Decision,
    /// About which request.
    pub claim_id: String,
    /// In which namespace.
    pub namespace: String,
    /// At which API: its origin.
    pub api: String,
    /// The service that the request is for.
    pub service: Option<String>,
    /// The agent's key.
    pub public_key: Option<String>,
    /// When the approval is taken back, Unix seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<i64>,
}

impl Intent {
    /// A decision about a request, now.
    pub fn new(decision: Decision, request: &AuthorizationRequest, whose: (&str, &str), by: &str, how: How) -> Self {
        let kept = |text: &Option<String>| text.as_ref().map(|text| text.chars().take(TEXT_MAX).collect());
        let mut random = [0; 8];
        // Without random numbers the time tells them apart.
        if getrandom::fill(&mut random).is_err() {
            random = time::now_ms().to_be_bytes();
        }
        Self {
            intent: hex::encode(random),
            at: time::rfc3339(time::now()),
            by: by.to_owned(),
            how,
            decision,
            claim_id: request.id().unwrap_or_default().to_owned(),
            namespace: whose.0.to_owned(),
            api: whose.1.to_owned(),
            service: kept(&request.service),
            public_key: kept(&request.public_key),
            until: None,
        }
    }
}

/// What came of it, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The request is as decided.
    Done,
    /// It is not: the API refused, or was never asked.
    NotDone,
    /// The request is gone, so that nobody can tell any more.
    Unknown,
}

/// The result of an intent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// [`Intent::intent`]
    pub result: String,
    /// When it was known: RFC 3339.
    pub at: String,
    /// What.
    pub outcome: Outcome,
    /// What the API answered, in our words.
    pub answer: String,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Entry {
    /// What was about to be sent.
    #[serde(flatten)]
    pub intent: Intent,
    /// What came of it; `None`: a run was killed, and the API has not been asked yet.
    pub result: Option<Settled>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Intent(Intent),
    Settled(Settled),
}

/// Lines that cannot be read: the file and the number of each, from 1 on.
pub type Unreadable = Vec<(PathBuf, usize)>;

/// The log of one home.
#[derive(Debug, Clone)]
pub struct DecisionLog {
    file: PathBuf,
    older: PathBuf,
}

impl DecisionLog {
    /// Of this home.
    pub fn of(place: &OpenClawHome) -> Self {
        Self {
            file: place.decision_log_file(),
            older: place.sigilum_dir().join("decisions.1.jsonl"),
        }
    }

    /// Where it is.
    pub fn file(&self) -> &PathBuf {
        &self.file
    }

    /// All decisions that are kept, the oldest first, as far as they can be read.
    pub fn read(&self) -> Result<Vec<Entry>> {
        self.read_all().map(|(entries, _)| entries)
    }

    /// The same, and which lines of which file cannot be read. A line that a run which was killed wrote in part is none of
    /// them: what it was to say had no effect yet, or is asked for again.
    pub fn read_all(&self) -> Result<(Vec<Entry>, Unreadable)> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut unreadable = Unreadable::new();
        for file in [&self.older, &self.file] {
            let bytes = fs::read_private(file, MAX_BYTES)?.unwrap_or_default();
            for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
                match serde_json::from_slice(line) {
                    // An open one is carried over into the new file.
                    Ok(Line::Intent(intent)) if entries.iter().any(|known| known.intent.intent == intent.intent) => {}
                    Ok(Line::Intent(intent)) => entries.push(Entry { intent, result: None }),
                    Ok(Line::Settled(settled)) => {
                        let of = |entry: &&mut Entry| entry.intent.intent == settled.result;
                        if let Some(entry) = entries.iter_mut().rev().find(of) {
                            entry.result.get_or_insert(settled);
                        }
                    }
                    // Of a power cut zeros may stay.
                    Err(error) if error.is_eof() || line.iter().all(|byte| *byte == 0) => {}
                    Err(_) => unreadable.push((file.clone(), number)),
                }
            }
        }
        Ok((entries, unreadable))
    }

    /// The open intent of an earlier try to take the same approval back: there is a line for each decision, not for each
    /// try.
    pub fn tried_before(&self, intent: &Intent) -> Option<Intent> {
        if intent.how != How::TimeOver {
            return None;
        }
        let is_it = |known: &Intent| {
            known.how == How::TimeOver
                && (&known.claim_id, &known.namespace, &known.api) == (&intent.claim_id, &intent.namespace, &intent.api)
        };
        let entries = self.read().unwrap_or_default().into_iter();
        let mut open = entries.filter(|entry| entry.result.is_none()).map(|entry| entry.intent);
        open.find(is_it)
    }

    /// Notes that something is about to be sent. On the disk once this returns.
    pub fn intend(&self, intent: &Intent) -> Result<()> {
        if std::fs::symlink_metadata(&self.file).is_ok_and(|meta| meta.len() >= ROTATE_AT) {
            self.rotate()?;
        }
        self.append(intent)
    }

    /// Notes what came of it.
    pub fn settle(&self, intent: &Intent, outcome: Outcome, answer: &str) -> Result<()> {
        self.append(&Settled {
            result: intent.intent.clone(),
            at: time::rfc3339(time::now()),
            outcome,
            answer: answer.to_owned(),
        })
    }

    fn append(&self, line: &impl Serialize) -> Result<()> {
        fs::append_line(&self.file, &self.bytes(line)?)
    }

    /// Killed in between, it is done again: the same bytes are put away.
    fn rotate(&self) -> Result<()> {
        let open: Vec<Intent> = self
            .read()?
            .into_iter()
            .filter(|entry| entry.result.is_none())
            .map(|e| e.intent)
            .collect();
        let bytes = fs::read_private(&self.file, MAX_BYTES)?.unwrap_or_default();
        fs::write_private(&self.older, &bytes)?;
        let mut carried = Vec::new();
        for intent in &open {
            carried.extend(self.bytes(intent)?);
            carried.push(b'\n');
        }
        fs::write_private(&self.file, &carried)
    }

    fn bytes(&self, line: &impl Serialize) -> Result<Vec<u8>> {
        let what = || format!("could not write the log of decisions: {}", self.file.display());
        serde_json::to_vec(line).or_fail(ExitCode::Failure, what)
    }
}
