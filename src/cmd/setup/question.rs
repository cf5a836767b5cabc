//! One question of `setup`: what a flag or a record says is the answer, or offered as such.

use crate::cmd::{output, prompt};
use crate::error::{Error, ExitCode, Result};

/// So often is a question asked: an answer that is none is no end.
pub const TRIES: usize = 5;
/// What stands for an empty answer, where there is a default.
pub const NONE: &str = "none";

/// Whether a person is asked.
#[derive(Clone, Copy)]
pub struct Asking {
    pub asks: bool,
}

/// A question.
pub struct Question<'a, T> {
    /// In words, without a mark at the end.
    pub text: &'a str,
    /// The flag that answers it, as it is to be added.
    pub flag: &'a str,
    /// What is the answer unless a person gives another one.
    pub default: Option<String>,
    /// Reads an answer.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub parse: &'a dyn Fn(&str) -> Result<T, String>,
}

impl Asking {
    /// The answer of a person, asked again a few times until it is one; without a person the default.
    ///
    /// # Errors
    /// [`ExitCode::Usage`] where there is no answer.
    pub fn answer<T>(self, question: &Question<'_, T>) -> Result<T> {
        let default = question.default.as_deref();
        if !self.asks {
            let answer = default.ok_or_else(|| question.unanswered("there is nobody to ask"))?;
            return (question.parse)(answer).map_err(|why| question.unanswered(&why));
        }
        let shown = default.map_or_else(String::new, |default| format!(" [{default}]"));
        for _ in 0..TRIES {
            let Some(typed) = prompt::ask(&format!("{}{shown}:", question.text))? else {
                return Err(question.unanswered("the answers ended before"));
            };
            let answer = match default {
                Some(default) if typed.is_empty() => default,
                _ => &typed,
            };
            match (question.parse)(answer) {
                Ok(answer) => return Ok(answer),
                Err(why) => output::note(why),
            }
        }
        Err(question.unanswered("there was no answer that can be used"))
    }
}

impl<T> Question<'_, T> {
    fn unanswered(&self, why: &str) -> Error {
        let what = format!("could not set up, {why}: {}", self.text);
        Error::new(ExitCode::Usage, what).next(format!("add {}", self.flag))
    }
}

/// Yes or no.
pub fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.to_ascii_lowercase().as_str() {
        "y" | "yes" => Ok(true),
        "n" | "no" => Ok(false),
        _ => Err("answer yes or no".to_owned()),
    }
}

/// As it is typed for a yes or a no.
pub fn spelled(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}
