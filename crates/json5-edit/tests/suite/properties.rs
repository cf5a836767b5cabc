//! Whatever a text looks like and whatever is wanted of it: the edit means what was wanted, no comment is lost, the second
//! run does nothing.

use crate::comments::comments;
use crate::documents::{any_value, around, change_anywhere, second, whole};
use json5_edit::{Document, Edited};
use proptest::prelude::*;
use serde_json::{Value, json};

fn document() -> BoxedStrategy<String> {
    whole(prop_oneof![1 => any_value(), 4 => inner().prop_flat_map(|inner| around(vec![("inner", inner)]))].boxed())
}

fn inner() -> BoxedStrategy<String> {
    around(vec![("a", "{ b: ['é', 0x10], }".into())])
}

type Changes = Vec<(prop::sample::Index, u8)>;

fn changes() -> impl Strategy<Value = Changes> {
    prop::collection::vec((any::<prop::sample::Index>(), 0..6_u8), 1..4)
}

fn edit(text: impl AsRef<[u8]>, changes: &Changes) -> (Value, Result<Edited, json5_edit::Error>) {
    let document = Document::parse(text).unwrap();
    let mut wanted = document.value().clone();
    for &(place, what) in changes {
        change_anywhere(&mut wanted, place, what);
    }
    let edited = document.edit(&wanted);
    (wanted, edited)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_means_what_was_wanted_and_loses_no_comment(text in document(), changes in changes()) {
        prop_assert_eq!(Document::parse(&text).unwrap().into_value(), second(text.as_bytes()));
        let (wanted, edited) = edit(&text, &changes);
        let edited = edited.unwrap();
        let new = edited.document.as_str();
        prop_assert_eq!(&second(new.as_bytes()), &wanted);
        prop_assert_eq!(comments(new), comments(&text), "{:?} became {:?}", text, new);
        prop_assert_eq!(new.starts_with('\u{FEFF}'), text.starts_with('\u{FEFF}'));
        // What other JSON tools could read they still can.
        if serde_json::from_str::<Value>(&text).is_ok() {
            prop_assert!(serde_json::from_str::<Value>(new).is_ok(), "no longer JSON: {:?}", new);
        }
        // Once more: nothing.
        let again = Document::parse(new).unwrap().edit(&wanted).unwrap();
        prop_assert!(again.splices.is_empty());
        prop_assert_eq!(again.document.as_str(), new);
    }

    #[test]
    fn what_was_added_is_taken_back_by_removing_it(text in document(), key in "[a-z]{8}", value in prop_oneof![
        Just(json!("x")), Just(json!({"a": {"b": [1, 2]}})), Just(json!([])),
    ]) {
        let mut document = Document::parse(&text).unwrap();
        let path = ["inner", &key];
        // An empty object may have white space inside, which nothing remembers.
        if document.value()["inner"].as_object().is_none_or(|inner| inner.is_empty()) {
            return Ok(());
        }
        document.set(&path, value.clone()).unwrap();
        prop_assert_eq!(&document.value()["inner"][&key], &value);
        document.remove(&path).unwrap();
        prop_assert_eq!(document.as_str(), &text);
    }

    /// What no Rust string can hold makes no difference: the same edit, and the same text but for the half itself.
    #[test]
    fn half_of_a_surrogate_pair_stays_as_it_is(text in document(), changes in changes()) {
        let [half, whole] = ["\\ud83d", "\\ue83d"].map(|escape| text.replace('😀', escape));
        let (wanted, expected) = edit(&whole, &changes);
        let (seen, edited) = edit(&half, &changes);
        prop_assert_eq!(seen, wanted);
        match edited {
            Ok(edited) => {
                let expected = expected.unwrap();
                prop_assert_eq!(edited.document.to_string().replace("\\ud83d", "\\ue83d"), expected.document.to_string());
            }
            // Where elements move up, one with a half in it would have to be written again.
            Err(error) => prop_assert_eq!(error.reason, "half of a surrogate pair cannot be written"),
        }
    }

    /// Nor does a byte that is no UTF-8.
    #[test]
    fn what_is_no_utf_8_stays_as_it_is(text in document(), changes in changes()) {
        let stand_in = text.replace('😀', "\u{10F7E9}");
        let bytes = stand_in.split('\u{10F7E9}').map(str::as_bytes).collect::<Vec<_>>().join(&0xE9);
        let (wanted, expected) = edit(&stand_in, &changes);
        let (seen, edited) = edit(&bytes, &changes);
        prop_assert_eq!(seen, wanted);
        match edited {
            Ok(edited) => {
                let expected = expected.unwrap().document.to_string();
                prop_assert_eq!(edited.document.as_str(), &expected);
                let expected = expected.split('\u{10F7E9}').map(str::as_bytes).collect::<Vec<_>>().join(&0xE9);
                prop_assert_eq!(&*edited.document.to_bytes(), &expected[..]);
            }
            Err(error) => prop_assert_eq!(error.reason, "a byte that is not UTF-8 cannot be written"),
        }
    }
}
