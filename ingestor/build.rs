//! A change of the schema makes this program anew.
fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
