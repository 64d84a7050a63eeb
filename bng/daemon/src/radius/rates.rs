//! Limits in a reply: a table of attributes, by their names in the dictionaries.
//!
//! A number is kbit/s, kbit or bit/s (rounded up to kbit/s), in an `integer`, an `integer64` or as decimal text. Two vendors' texts are
//! understood as well: [`mikrotik`] and [`cisco`]. A value that is none of these is ignored and said.

mod cisco;
mod mikrotik;

use lastmile_types::{
    config::{RateAttribute, RateMeaning},
    session::Rates,
};
use lastmile_wire::radius::{Attributes, Dictionary, DictionaryError, Form, Place};
use tracing::warn;

/// Where the configuration names none.
const DEFAULT: [(&str, RateMeaning); 8] = [
    ("WISPr-Bandwidth-Max-Down", RateMeaning::DownloadBps),
    ("WISPr-Bandwidth-Max-Up", RateMeaning::UploadBps),
    ("Mikrotik-Rate-Limit", RateMeaning::MikrotikRateLimit),
    ("Cisco-AVPair", RateMeaning::CiscoRateLimit),
    ("Broadband-Download-Rate", RateMeaning::DownloadKbps),
    ("Broadband-Upload-Rate", RateMeaning::UploadKbps),
    ("Broadband-Download-Burst", RateMeaning::DownloadBurstKbit),
    ("Broadband-Upload-Burst", RateMeaning::UploadBurstKbit),
];

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RateError {
    /// A file is none.
    #[error("a RADIUS dictionary cannot be used")]
    Dictionary(#[from] DictionaryError),
    /// A name that stands nowhere.
    #[error(
        "radius.rateAttributes: no dictionary knows {0:?}: correct the name, or give its dictionary in radius.dictionaryFiles"
    )]
    Unknown(String),
    /// It is known, and cannot be found in a packet.
    #[error(
        "radius.rateAttributes: {0} is nested, encrypted or of a vendor with an attribute format of its own: use another"
    )]
    Unreachable(String),
    /// It holds something else.
    #[error("radius.rateAttributes: {0} holds no {1}")]
    Form(String, &'static str),
}

/// The table, ready to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateTable {
    rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    name: String,
    place: Place,
    text: bool,
    meaning: RateMeaning,
}

impl RateTable {
    /// Finds every name in the dictionaries. No rows: the gateway's own table.
    pub fn new(rows: &[RateAttribute], dictionary: &Dictionary) -> Result<Self, RateError> {
        let rows: Vec<_> = match rows {
            [] => DEFAULT.into(),
            rows => rows.iter().map(|row| (row.attribute.as_str(), row.meaning)).collect(),
        };
        let rows = rows.into_iter().map(|(name, meaning)| Row::find(name, meaning, dictionary));
        Ok(Self { rows: rows.collect::<Result<_, _>>()? })
    }

    /// What a reply or a CoA-Request says of the limits, if anything. For each limit the first row that says it counts; zero lifts it.
    pub fn read(&self, attributes: &Attributes) -> Option<Rates> {
        let mut rates = Rates::default();
        for row in &self.rows {
            for value in attributes.at(row.place) {
                match row.understand(value) {
                    Some(found) => fill(&mut rates, found),
                    None => warn!(
                        attribute = row.name,
                        "a rate in a RADIUS packet is not understood and ignored: correct it at the RADIUS server"
                    ),
                }
            }
        }
        (rates != Rates::default()).then_some(rates)
    }
}

/// What one attribute is to the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// No limit at all.
    Not,
    /// It says something of the limits.
    Understood,
    /// It stands where limits stand, and its value is none.
    Senseless,
}

impl RateTable {
    /// Whether a value at this place is read as a limit: who may not ignore what is not understood asks first.
    pub fn judge(&self, place: Place, value: &[u8]) -> Limit {
        let mut rows = self.rows.iter().filter(|row| row.place == place).peekable();
        if rows.peek().is_none() {
            Limit::Not
        } else if rows.any(|row| row.understand(value).is_some()) {
            Limit::Understood
        } else {
            Limit::Senseless
        }
    }
}

impl Row {
    fn find(name: &str, meaning: RateMeaning, dictionary: &Dictionary) -> Result<Self, RateError> {
        let found = dictionary.get(name).ok_or_else(|| RateError::Unknown(name.to_owned()))?;
        let place = found.place.ok_or_else(|| RateError::Unreachable(name.to_owned()))?;
        let texts = [RateMeaning::MikrotikRateLimit, RateMeaning::CiscoRateLimit].contains(&meaning);
        match found.form {
            Form::Integer | Form::Integer64 | Form::Other if texts => {
                return Err(RateError::Form(name.to_owned(), "text"));
            }
            Form::Other => return Err(RateError::Form(name.to_owned(), "number")),
            Form::Text | Form::Integer | Form::Integer64 => {}
        }
        Ok(Self { name: found.name.clone(), place, text: found.form == Form::Text, meaning })
    }

    /// `None` = not a value that the attribute may have.
    fn understand(&self, value: &[u8]) -> Option<Rates> {
        match self.meaning {
            RateMeaning::MikrotikRateLimit => return mikrotik::parse(std::str::from_utf8(value).ok()?),
            RateMeaning::CiscoRateLimit => return cisco::parse(std::str::from_utf8(value).ok()?),
            _ => {}
        }
        let number = self.number(value)?;
        let kilo = |number: u64| Some(u32::try_from(number).unwrap_or(u32::MAX));
        let none = Rates::default();
        Some(match self.meaning {
            RateMeaning::DownloadBps => Rates { down_kbps: Some(kbps(number)), ..none },
            RateMeaning::UploadBps => Rates { up_kbps: Some(kbps(number)), ..none },
            RateMeaning::DownloadKbps => Rates { down_kbps: kilo(number), ..none },
            RateMeaning::UploadKbps => Rates { up_kbps: kilo(number), ..none },
            RateMeaning::DownloadBurstKbit => Rates { down_burst_kbit: kilo(number), ..none },
            RateMeaning::UploadBurstKbit => Rates { up_burst_kbit: kilo(number), ..none },
            RateMeaning::MikrotikRateLimit | RateMeaning::CiscoRateLimit => none,
        })
    }

    fn number(&self, value: &[u8]) -> Option<u64> {
        if self.text {
            return std::str::from_utf8(value).ok()?.trim().parse().ok();
        }
        let short = value.try_into().ok().map(u32::from_be_bytes).map(u64::from);
        short.or_else(|| value.try_into().ok().map(u64::from_be_bytes))
    }
}

/// Takes what is not said yet.
fn fill(rates: &mut Rates, found: Rates) {
    rates.down_kbps = rates.down_kbps.or(found.down_kbps);
    rates.up_kbps = rates.up_kbps.or(found.up_kbps);
    rates.down_burst_kbit = rates.down_burst_kbit.or(found.down_burst_kbit);
    rates.up_burst_kbit = rates.up_burst_kbit.or(found.up_burst_kbit);
}

/// bit/s as kbit/s, rounded up: a limit never becomes "none" by rounding.
fn kbps(bps: u64) -> u32 {
    u32::try_from(bps.div_ceil(1000)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(build: impl Fn(&mut Attributes)) -> Attributes {
        let mut attributes = Attributes::new();
        build(&mut attributes);
        attributes
    }

    fn table(rows: &[(&str, RateMeaning)]) -> Result<RateTable, RateError> {
        let rows = rows.iter().map(|(name, meaning)| RateAttribute { attribute: (*name).into(), meaning: *meaning });
        RateTable::new(&rows.collect::<Vec<_>>(), &Dictionary::shipped().unwrap())
    }

    #[test]
    fn the_gateways_own_table() {
        let table = table(&[]).unwrap();
        assert_eq!(table.read(&Attributes::new()), None);
        let wispr = reply(|list| {
            list.push_vendor(14122, 8, &10_000_001_u32.to_be_bytes()).unwrap();
            list.push_vendor(14122, 7, &0_u32.to_be_bytes()).unwrap();
        });
        let expected = Rates { down_kbps: Some(10_001), up_kbps: Some(0), ..Rates::default() };
        assert_eq!(table.read(&wispr), Some(expected));
        let broadband = reply(|list| {
            for (kind, value) in [(1, 8_000_u32), (2, 2_000), (3, 800), (4, 200)] {
                list.push_vendor(43242, kind, &value.to_be_bytes()).unwrap();
            }
        });
        let expected = Rates {
            down_kbps: Some(8_000),
            up_kbps: Some(2_000),
            down_burst_kbit: Some(800),
            up_burst_kbit: Some(200),
        };
        assert_eq!(table.read(&broadband), Some(expected));
    }

    #[test]
    fn several_cisco_pairs_and_what_is_none() {
        let table = table(&[]).unwrap();
        let pairs = reply(|list| {
            for pair in [
                "ip:addr-pool=gold",
                "lcp:interface-config#1=rate-limit output 10000000 1875000 3750000 conform-action transmit exceed-action drop",
                "lcp:interface-config#2=rate-limit input 2000000 375000 750000 conform-action transmit exceed-action drop",
            ] {
                list.push_vendor(9, 1, pair.as_bytes()).unwrap();
            }
        });
        let rates = table.read(&pairs).unwrap();
        assert_eq!((rates.down_kbps, rates.up_kbps), (Some(10_000), Some(2_000)));
        assert_eq!((rates.down_burst_kbit, rates.up_burst_kbit), (Some(15_000), Some(3_000)));
    }

    #[test]
    fn a_table_of_ones_own_takes_the_first_that_says_it() {
        let rows = [("Mikrotik-Rate-Limit", RateMeaning::DownloadKbps), ("Session-Timeout", RateMeaning::DownloadKbps)];
        let table = table(&rows).unwrap();
        let text = |text: &'static [u8]| {
            reply(move |list| {
                list.push_vendor(14988, 8, text).unwrap();
                list.push_u32(27, 5);
            })
        };
        assert_eq!(table.read(&text(b"64")).unwrap().down_kbps, Some(64));
        assert_eq!(table.read(&text(b"fast")).unwrap().down_kbps, Some(5), "what is no number is ignored");
    }

    #[test]
    fn names_that_cannot_work_are_refused_with_a_sentence() {
        let refused = |name, meaning| table(&[(name, meaning)]).unwrap_err().to_string();
        assert!(refused("No-Such", RateMeaning::UploadBps).contains("no dictionary knows \"No-Such\""));
        assert!(refused("Framed-IP-Address", RateMeaning::UploadBps).contains("holds no number"));
        assert!(refused("WISPr-Bandwidth-Max-Up", RateMeaning::CiscoRateLimit).contains("holds no text"));
    }
}
