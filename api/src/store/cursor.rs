//! Keyset cursors: the sort key of the last row given out, opaque to clients.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Serialize, de::DeserializeOwned};

use super::StoreError;

/// One page of rows.
#[derive(Debug)]
pub struct Page<T> {
    /// The rows, in order.
    pub rows: Vec<T>,
    /// Where the next page starts; `None` = this was the last.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of at most `limit` rows of `rows`, of which one more was asked for to see whether there are any.
    pub fn cut<K: Serialize>(mut rows: Vec<T>, limit: usize, key: impl Fn(&T) -> K) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| encode(&key(row)));
        Self { rows, next }
    }
}

/// The text form of a sort key.
pub fn encode<K: Serialize>(key: &K) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).unwrap_or_default())
}

/// The sort key of a cursor.
pub fn decode<K: DeserializeOwned>(cursor: &str) -> Result<K, StoreError> {
    let json = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| StoreError::Cursor)?;
    serde_json::from_slice(&json).map_err(|_| StoreError::Cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_round_trips_and_rubbish_is_refused() {
        assert_eq!(decode::<(u32, String)>(&encode(&(7, "a"))).unwrap(), (7, "a".to_owned()));
        for rubbish in ["", "!", "e30", "AAAA"] {
            assert!(matches!(decode::<(u32, String)>(rubbish), Err(StoreError::Cursor)), "{rubbish}");
        }
    }

    #[test]
    fn only_a_page_with_more_behind_it_has_a_next() {
        assert!(Page::cut(vec![1, 2], 2, |n| *n).next.is_none());
        let page = Page::cut(vec![1, 2, 3], 2, |n| *n);
        assert_eq!((page.rows, page.next), (vec![1, 2], Some(encode(&2))));
    }
}
