//! `dead_letters`: what can never be ingested.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};
use sqlx::PgConnection;

use super::{StoreError, column, int};
use crate::decode::{Entry, Poison};

const INSERT: &str = "
INSERT INTO dead_letters (entry_id, fields, reason, bng_instance_id, seq)
SELECT entry_id, fields::jsonb, reason, bng_instance_id, seq
FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::bigint[])
    AS letter (entry_id, fields, reason, bng_instance_id, seq)
ORDER BY entry_id
ON CONFLICT DO NOTHING";

/// Keeps the entries of `poison`.
pub async fn insert(connection: &mut PgConnection, poison: &[Poison]) -> Result<(), StoreError> {
    if poison.is_empty() {
        return Ok(());
    }
    sqlx::query(INSERT)
        .bind(column(poison, |poison| poison.entry.id.as_str()))
        .bind(column(poison, |poison| fields(&poison.entry).to_string()))
        .bind(column(poison, |poison| poison.reason.replace('\0', "\u{fffd}")))
        .bind(column(poison, |poison| poison.position.map(|position| position.bng_instance_id.0)))
        .bind(column(poison, |poison| poison.position.map(|position| int(position.seq))))
        .execute(connection)
        .await?;
    Ok(())
}

/// Text as text, and what PostgreSQL does not take for text as `{"base64": …}`.
fn fields(entry: &Entry) -> Value {
    let mut fields = Map::new();
    for (name, value) in &entry.fields {
        let name = String::from_utf8_lossy(name).replace('\0', "\u{fffd}");
        let text = str::from_utf8(value).ok().filter(|text| !text.contains('\0'));
        let value = text.map_or_else(|| json!({ "base64": STANDARD.encode(value) }), |text| json!(text));
        fields.insert(name, value);
    }
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost() {
        let entry = Entry {
            id: "1-0".to_owned(),
            fields: vec![(b"a".to_vec(), b"text".to_vec()), (b"b".to_vec(), vec![0xff]), (b"c".to_vec(), vec![0])],
        };
        assert_eq!(fields(&entry).to_string(), r#"{"a":"text","b":{"base64":"/w=="},"c":{"base64":"AA=="}}"#);
    }
}
