//! Dictionaries: which attribute a name means, read from files in FreeRADIUS' format.
//!
//! `VENDOR`, `BEGIN-VENDOR`, `END-VENDOR` and `ATTRIBUTE` are taken; `VALUE` is checked and passed over, because nothing here asks
//! for the name of a number. `$INCLUDE` is refused: a dictionary never makes the gateway open another file. Attributes that are
//! not found by one type octet (nested ones, extended ones, vendors with a format of their own) have a name and no place.

use std::collections::BTreeMap;

/// The most octets of one file.
const LARGEST: usize = 1 << 20;
/// The most names of all files together.
const NAMES: usize = 65_536;
/// What the gateway itself speaks of.
const SHIPPED: &str = include_str!("../../dictionaries/dictionary.lastmile");

/// Names of attributes, without regard to case.
#[derive(Debug, Clone, Default)]
pub struct Dictionary {
    attributes: BTreeMap<String, Definition>,
    vendors: BTreeMap<String, Vendor>,
}

/// What a name means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// As it is written in the dictionary.
    pub name: String,
    /// Where it stands in a packet; `None` = nowhere that a single type octet would tell.
    pub place: Option<Place>,
    /// What it holds.
    pub form: Form,
}

/// Where an attribute stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the packet itself.
    Standard(u8),
    /// In a Vendor-Specific attribute (RFC 2865 §5.26).
    Vendor {
        /// Private enterprise number.
        vendor: u32,
        /// The vendor's type.
        kind: u8,
    },
}

/// What an attribute holds, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `integer`: 32 bit.
    Integer,
    /// `integer64`.
    Integer64,
    /// `string`: text.
    Text,
    /// Any other type.
    Other,
}

/// A line that no dictionary has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}, line {line}: {problem}")]
pub struct DictionaryError {
    /// The file's name.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: DictionaryProblem,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DictionaryProblem {
    /// Another file.
    #[error("$INCLUDE is not followed: give every file by itself")]
    Include,
    /// Not one of the format's words.
    #[error("{0:?} is no dictionary keyword")]
    Keyword(String),
    /// Too few words.
    #[error("a word is missing: expected {0}")]
    Missing(&'static str),
    /// No number, or one that is out of range.
    #[error("{0:?} is no number that fits there")]
    Number(String),
    /// `BEGIN-VENDOR` before `VENDOR`.
    #[error("there is no vendor {0:?}: define it by a VENDOR line before")]
    Vendor(String),
    /// `END-VENDOR` of something else than was begun.
    #[error("END without its BEGIN")]
    End,
    /// The file ends within a block.
    #[error("the file ends before its END-VENDOR or END-TLV")]
    Open,
    /// Beyond what a gateway keeps.
    #[error("more than {LARGEST} octets, or more than {NAMES} names in all")]
    TooLarge,
}

#[derive(Debug, Clone, Copy)]
struct Vendor {
    number: u32,
    /// Its attributes have one octet of type and one of length, as RFC 2865 recommends.
    plain: bool,
}

/// Where a line stands in its file.
#[derive(Debug, Default)]
struct Within {
    vendor: Option<Vendor>,
    /// Depth of `BEGIN-TLV`.
    nested: usize,
}

impl Dictionary {
    /// What the gateway itself speaks of.
    pub fn shipped() -> Result<Self, DictionaryError> {
        let mut dictionary = Self::default();
        dictionary.read("dictionary.lastmile", SHIPPED)?;
        Ok(dictionary)
    }

    /// Takes a file on. A later definition of a name replaces an earlier one. After an error, what stands before it is taken.
    pub fn read(&mut self, file: &str, text: &str) -> Result<(), DictionaryError> {
        let error = |line, problem| DictionaryError { file: file.to_owned(), line, problem };
        if text.len() > LARGEST {
            return Err(error(1, DictionaryProblem::TooLarge));
        }
        let mut within = Within::default();
        let mut last = 1;
        for (line, content) in (1..).zip(text.lines()) {
            let content = content.split_once('#').map_or(content, |(content, _)| content);
            let words: Vec<_> = content.split_ascii_whitespace().collect();
            self.line(&words, &mut within).map_err(|problem| error(line, problem))?;
            last = line;
        }
        if within.vendor.is_some() || within.nested > 0 {
            return Err(error(last, DictionaryProblem::Open));
        }
        Ok(())
    }

    /// What a name means.
    pub fn get(&self, name: &str) -> Option<&Definition> {
        self.attributes.get(&name.to_ascii_lowercase())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Definition> {
        self.attributes.values()
    }

    fn line(&mut self, words: &[&str], within: &mut Within) -> Result<(), DictionaryProblem> {
        let Some((keyword, words)) = words.split_first() else { return Ok(()) };
        match keyword.to_ascii_uppercase().as_str() {
            "VENDOR" => self.define_vendor(words)?,
            "BEGIN-VENDOR" => within.vendor = Some(self.vendor(words)?),
            "END-VENDOR" => drop(within.vendor.take().ok_or(DictionaryProblem::End)?),
            "BEGIN-TLV" => within.nested += 1,
            "END-TLV" => within.nested = within.nested.checked_sub(1).ok_or(DictionaryProblem::End)?,
            "ATTRIBUTE" => self.define(words, within)?,
            "VALUE" => match words {
                [_, _, value, ..] => drop(number(value, u64::MAX)?),
                _ => return Err(DictionaryProblem::Missing("VALUE ATTRIBUTE NAME NUMBER")),
            },
            "$INCLUDE" | "$INCLUDE-" => return Err(DictionaryProblem::Include),
            _ => return Err(DictionaryProblem::Keyword((*keyword).to_owned())),
        }
        Ok(())
    }

    fn define_vendor(&mut self, words: &[&str]) -> Result<(), DictionaryProblem> {
        let [name, value, rest @ ..] = words else { return Err(DictionaryProblem::Missing("VENDOR NAME NUMBER")) };
        let number = number(value, u32::MAX.into())? as u32; // no more than that
        let plain = rest.iter().all(|word| !word.starts_with("format=") || *word == "format=1,1");
        self.room(self.vendors.len())?;
        self.vendors.insert(name.to_ascii_lowercase(), Vendor { number, plain });
        Ok(())
    }

    fn vendor(&self, words: &[&str]) -> Result<Vendor, DictionaryProblem> {
        let [name, rest @ ..] = words else { return Err(DictionaryProblem::Missing("BEGIN-VENDOR NAME")) };
        let vendor = self.vendors.get(&name.to_ascii_lowercase());
        let vendor = vendor.copied().ok_or_else(|| DictionaryProblem::Vendor((*name).to_owned()))?;
        // What follows puts the vendor into an extended attribute (RFC 6929).
        Ok(Vendor { plain: vendor.plain && rest.is_empty(), ..vendor })
    }

    fn define(&mut self, words: &[&str], within: &Within) -> Result<(), DictionaryProblem> {
        let [name, code, form, flags @ ..] = words else {
            return Err(DictionaryProblem::Missing("ATTRIBUTE NAME NUMBER TYPE"));
        };
        let kind = match code.split_once('.') {
            Some(_) => None,
            None => u8::try_from(number(code, u32::MAX.into())?).ok(),
        };
        // Encrypted values mean nothing without their server's way of hiding them.
        let readable = within.nested == 0 && !flags.iter().any(|flag| flag.contains("encrypt="));
        let place = kind.filter(|_| readable).and_then(|kind| match within.vendor {
            None => Some(Place::Standard(kind)),
            Some(Vendor { number, plain: true }) => Some(Place::Vendor { vendor: number, kind }),
            Some(_) => None,
        });
        let form = match form.to_ascii_lowercase().as_str() {
            "integer" | "uint32" => Form::Integer,
            "integer64" | "uint64" => Form::Integer64,
            "string" => Form::Text,
            _ => Form::Other,
        };
        self.room(self.attributes.len())?;
        self.attributes.insert(name.to_ascii_lowercase(), Definition { name: (*name).to_owned(), place, form });
        Ok(())
    }

    fn room(&self, used: usize) -> Result<(), DictionaryProblem> {
        if used < NAMES { Ok(()) } else { Err(DictionaryProblem::TooLarge) }
    }
}

fn number(text: &str, most: u64) -> Result<u64, DictionaryProblem> {
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u64::from_str_radix(hex, 16),
        None => text.parse(),
    };
    parsed.ok().filter(|value| *value <= most).ok_or_else(|| DictionaryProblem::Number(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{super::attr, DictionaryProblem as Problem, *};

    fn read(text: &str) -> Result<Dictionary, (usize, Problem)> {
        let mut dictionary = Dictionary::default();
        dictionary.read("test", text).map(|()| dictionary).map_err(|error| (error.line, error.problem))
    }

    #[test]
    fn names_have_places() {
        let text = "# a comment\nVENDOR Acme 0x1F # another\nBEGIN-VENDOR Acme\nATTRIBUTE Acme-Rate 7 integer\n\
                    END-VENDOR Acme\nATTRIBUTE Plain 9 string has_tag\nVALUE Plain One 1\n";
        let dictionary = read(text).unwrap();
        let acme = dictionary.get("ACME-rate").unwrap();
        assert_eq!((acme.name.as_str(), acme.form), ("Acme-Rate", Form::Integer));
        assert_eq!(acme.place, Some(Place::Vendor { vendor: 31, kind: 7 }));
        assert_eq!(dictionary.get("Plain").unwrap().place, Some(Place::Standard(9)));
        assert_eq!(dictionary.get("Other"), None);
    }

    #[test]
    fn what_no_type_octet_tells_has_no_place() {
        let text = "VENDOR Long 5 format=2,1\nBEGIN-VENDOR Long\nATTRIBUTE A 1 integer\nEND-VENDOR Long\n\
                    ATTRIBUTE B 1.2 integer\nATTRIBUTE C 1000 integer\nATTRIBUTE T 8 tlv\nBEGIN-TLV T\nATTRIBUTE D 1 integer\n\
                    END-TLV T\nATTRIBUTE E 3 string encrypt=2\n";
        let dictionary = read(text).unwrap();
        for name in ["A", "B", "C", "D", "E"] {
            assert_eq!(dictionary.get(name).unwrap().place, None, "{name}");
        }
    }

    #[test]
    fn a_line_that_cannot_be_is_refused_by_its_number() {
        let cases = [
            ("\n$INCLUDE dictionary.other", 2, Problem::Include),
            ("ATRIBUTE A 1 integer", 1, Problem::Keyword("ATRIBUTE".into())),
            ("ATTRIBUTE A 1", 1, Problem::Missing("ATTRIBUTE NAME NUMBER TYPE")),
            ("ATTRIBUTE A x integer", 1, Problem::Number("x".into())),
            ("VENDOR A 4294967296", 1, Problem::Number("4294967296".into())),
            ("BEGIN-VENDOR A", 1, Problem::Vendor("A".into())),
            ("END-VENDOR A", 1, Problem::End),
            ("VENDOR A 1\nBEGIN-VENDOR A\n", 2, Problem::Open),
        ];
        for (text, line, problem) in cases {
            assert_eq!(read(text).unwrap_err(), (line, problem), "{text:?}");
        }
        assert_eq!(read(&" ".repeat(LARGEST + 1)).unwrap_err(), (1, Problem::TooLarge));
    }

    /// The numbers that the code uses are the dictionary's.
    #[test]
    fn the_shipped_one_agrees_with_the_code() {
        let dictionary = Dictionary::shipped().unwrap();
        for (name, kind) in [
            ("User-Name", attr::USER_NAME),
            ("Filter-Id", attr::FILTER_ID),
            ("Class", attr::CLASS),
            ("Session-Timeout", attr::SESSION_TIMEOUT),
            ("Idle-Timeout", attr::IDLE_TIMEOUT),
            ("Acct-Interim-Interval", attr::ACCT_INTERIM_INTERVAL),
            ("Framed-IP-Address", attr::FRAMED_IP_ADDRESS),
            ("Acct-Input-Gigawords", attr::ACCT_INPUT_GIGAWORDS),
            ("Message-Authenticator", attr::MESSAGE_AUTHENTICATOR),
            ("Error-Cause", attr::ERROR_CAUSE),
        ] {
            assert_eq!(dictionary.get(name).unwrap().place, Some(Place::Standard(kind)), "{name}");
        }
        let rate = dictionary.get("WISPr-Bandwidth-Max-Down").unwrap();
        assert_eq!((rate.place, rate.form), (Some(Place::Vendor { vendor: 14122, kind: 8 }), Form::Integer));
    }
}
