//! FreeRADIUS' own dictionaries are read, and say what ours says.

use std::{fs, path::Path};

use lastmile_bng::radius::RateTable;
use lastmile_types::config::{RateAttribute, RateMeaning};
use lastmile_wire::radius::Dictionary;

const FOLDER: &str = "/usr/share/freeradius";

#[test]
fn all_that_freeradius_ships() {
    let mut dictionary = Dictionary::default();
    let mut files: Vec<_> = fs::read_dir(FOLDER)
        .expect("FreeRADIUS' dictionaries are not installed: `make setup` installs them")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("dictionary."))
        .collect();
    files.sort();
    let mut read = 0;
    for path in &files {
        let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        // Files of other protocols, and those that only name other files.
        if text.contains("$INCLUDE") {
            continue;
        }
        dictionary.read(&path.display().to_string(), &text).unwrap();
        read += 1;
    }
    assert!(read > 150, "{read} files");
    for ours in Dictionary::shipped().unwrap().iter().filter(|one| !one.name.starts_with("Broadband-")) {
        let theirs = dictionary.get(&ours.name).unwrap_or_else(|| panic!("{} is not theirs", ours.name));
        assert_eq!((ours.place, ours.form), (theirs.place, theirs.form), "{}", ours.name);
    }
}

/// As a gateway reads them: a vendor that ours does not know, in a file beside the configuration.
#[test]
fn a_table_with_another_vendors_dictionary() {
    let text = fs::read_to_string(Path::new(FOLDER).join("dictionary.chillispot")).unwrap();
    let mut dictionary = Dictionary::shipped().unwrap();
    let row = RateAttribute { attribute: "ChilliSpot-Bandwidth-Max-Down".into(), meaning: RateMeaning::DownloadKbps };
    assert!(RateTable::new(std::slice::from_ref(&row), &dictionary).is_err());
    dictionary.read("dictionary.chillispot", &text).unwrap();
    let table = RateTable::new(&[row], &dictionary).unwrap();
    let mut reply = lastmile_wire::radius::Attributes::new();
    reply.push_vendor(14559, 5, &6_000_u32.to_be_bytes()).unwrap();
    assert_eq!(table.read(&reply).unwrap().down_kbps, Some(6_000));
}
