//! Label and field selectors.

use super::{object, status::Failure};
use crate::store::sessions::SessionRow;

/// Which sessions a request is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<(String, Rule)>,
    fields: Vec<(String, Rule)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
}

impl Rule {
    /// A missing key satisfies only negative rules, as Kubernetes has it.
    fn allows(&self, value: Option<&str>) -> bool {
        match self {
            Self::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
            Self::NotIn(values) => !value.is_some_and(|value| values.iter().any(|one| one == value)),
            Self::Exists => value.is_some(),
            Self::Absent => value.is_none(),
        }
    }
}

/// The fields that may be selected by.
const FIELDS: [&str; 12] = [
    "metadata.name",
    "metadata.namespace",
    "spec.subscriber",
    "spec.bng",
    "spec.mac",
    "spec.router",
    "spec.circuitId",
    "spec.remoteId",
    "status.ip",
    "status.state",
    "status.auth",
    "status.policy",
];

fn field(row: &SessionRow, name: &str) -> Option<String> {
    Some(match name {
        "metadata.name" => object::name(row.id),
        "metadata.namespace" => row.bng_id.namespace().to_owned(),
        "spec.subscriber" => row.subscriber.clone(),
        "spec.bng" => row.bng_id.name().to_owned(),
        "spec.mac" => row.mac.to_string(),
        "spec.router" => row.router.clone(),
        "spec.circuitId" => row.circuit_id.to_string(),
        "spec.remoteId" => row.remote_id.to_string(),
        "status.ip" => row.ip.to_string(),
        "status.state" => row.state.to_string(),
        "status.auth" => row.auth.to_string(),
        "status.policy" => row.policy.clone().unwrap_or_default(),
        _ => return None,
    })
}

impl Selector {
    /// Reads `labelSelector` and `fieldSelector`.
    pub fn parse(labels: &str, fields: &str) -> Result<Self, Failure> {
        let labels = split(labels).into_iter().map(label_rule).collect::<Result<_, _>>()?;
        let fields =
            fields.split(',').filter(|part| !part.trim().is_empty()).map(field_rule).collect::<Result<_, _>>()?;
        Ok(Self { labels, fields })
    }

    /// Whether a session is meant.
    pub fn matches(&self, row: &SessionRow) -> bool {
        let labels = object::labels(row);
        let label = |key: &str| labels.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str());
        self.labels.iter().all(|(key, rule)| rule.allows(label(key)))
            && self.fields.iter().all(|(name, rule)| rule.allows(field(row, name).as_deref()))
    }

    /// The one value that a field must have, if so: lets the database find it.
    pub fn exact(&self, name: &str) -> Option<&str> {
        self.fields.iter().find_map(|(field, rule)| match rule {
            Rule::In(values) if field == name => values.first().map(String::as_str),
            _ => None,
        })
    }
}

/// At the commas that are outside parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// `key OP value`, with the operator that comes first.
fn equality(part: &str) -> Option<(&str, Rule)> {
    let at = part.find(['=', '!'])?;
    let (key, rest) = part.split_at(at);
    let (value, negative) = match rest {
        _ if rest.starts_with("!=") => (&rest[2..], true),
        _ if rest.starts_with("==") => (&rest[2..], false),
        _ if rest.starts_with('=') => (&rest[1..], false),
        _ => return None,
    };
    let values = vec![value.trim().to_owned()];
    Some((key.trim(), if negative { Rule::NotIn(values) } else { Rule::In(values) }))
}

fn label_rule(part: &str) -> Result<(String, Rule), Failure> {
    let refuse = || Failure::bad_request(format!("unable to parse label selector requirement {part:?}"));
    let (key, rule) = if let Some(key) = part.strip_prefix('!') {
        (key.trim(), Rule::Absent)
    } else if let Some((head, list)) = part.split_once('(') {
        let list = list.strip_suffix(')').ok_or_else(refuse)?;
        let values = list.split(',').map(|value| value.trim().to_owned()).collect();
        match head.split_whitespace().collect::<Vec<_>>()[..] {
            [key, "in"] => (key, Rule::In(values)),
            [key, "notin"] => (key, Rule::NotIn(values)),
            _ => return Err(refuse()),
        }
    } else if let Some((key, rule)) = equality(part) {
        (key, rule)
    } else {
        (part, Rule::Exists)
    };
    let well_formed = |key: &str| {
        !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
    };
    if well_formed(key) { Ok((key.to_owned(), rule)) } else { Err(refuse()) }
}

fn field_rule(part: &str) -> Result<(String, Rule), Failure> {
    let (name, rule) = equality(part.trim()).ok_or_else(|| {
        Failure::bad_request(format!("invalid field selector {part:?}: want FIELD=VALUE or FIELD!=VALUE"))
    })?;
    if FIELDS.contains(&name) {
        return Ok((name.to_owned(), rule));
    }
    Err(Failure::bad_request(format!("field label not supported: {name} (supported: {})", FIELDS.join(", "))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kube::fixture::session;

    fn selects(labels: &str, fields: &str) -> bool {
        Selector::parse(labels, fields).unwrap().matches(&session())
    }

    #[test]
    fn labels() {
        for yes in [
            "",
            "lastmile.io/bng=bng-01",
            "lastmile.io/bng==bng-01",
            "lastmile.io/bng!=bng-02",
            "lastmile.io/bng",
            "lastmile.io/state in (ACTIVE, IDLE)",
            "lastmile.io/state notin (PENDING)",
            "!other",
            "other!=x",
            "lastmile.io/state in (ACTIVE,IDLE),lastmile.io/auth=AUTHORIZED",
            "other notin (a)",
        ] {
            assert!(selects(yes, ""), "{yes}");
        }
        for no in ["lastmile.io/bng=bng-02", "other", "!lastmile.io/bng", "lastmile.io/auth notin (AUTHORIZED)", "a=b"]
        {
            assert!(!selects(no, ""), "{no}");
        }
        for wrong in ["a in", "a in (b", "=b", "a~b", "a !b"] {
            assert_eq!(Selector::parse(wrong, "").unwrap_err().reason, "BadRequest", "{wrong}");
        }
    }

    #[test]
    fn fields() {
        for yes in ["metadata.namespace=edge", "status.ip=100.64.1.10,spec.mac=02:00:5e:10:00:01", "status.state!=IDLE"]
        {
            assert!(selects("", yes), "{yes}");
        }
        assert!(!selects("", "metadata.name=s-other"));
        assert!(Selector::parse("", "spec.color=red").unwrap_err().message.contains("not supported: spec.color"));
        assert_eq!(Selector::parse("", "metadata.name=s-1").unwrap().exact("metadata.name"), Some("s-1"));
    }
}
