//! What the bed is made with: commands, files, patience.

use std::{
    fs,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::sql::psql;

pub fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this test under `lab services --`"))
}

/// A program of another package.
pub fn beside(name: &str) -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_lastmile-bng")).with_file_name(name);
    assert!(program.exists(), "{} is not built: cargo build -p {name}", program.display());
    program
}

/// With whoever is connected to it.
pub fn drop_database(name: &str) {
    psql("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
}

/// The gateway's tables in the kernel.
pub fn delete_tables() {
    for family in ["ip", "ip6"] {
        let table = ["delete", "table", family, "lastmile_edge_bridged"];
        let _ = Command::new("nft").args(table).stderr(Stdio::null()).status();
    }
}

/// A CA, and the gateway's certificate.
pub fn keys(folder: &Path) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["bridged.edge.bng.lastmile.io".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    fs::write(folder.join("ca.crt"), authority.pem()).unwrap();
    fs::write(folder.join("tls.crt"), certificate.pem()).unwrap();
    fs::write(folder.join("tls.key"), key.serialize_pem()).unwrap();
}

/// Each time another, below those that the kernel gives to connections: it stays free while the gateway is killed.
pub fn free_port() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    let free = |address: &SocketAddr| TcpListener::bind(address).is_ok();
    let next = |_| SocketAddr::from(([127, 0, 0, 1], NEXT.fetch_add(1, Ordering::Relaxed)));
    (0..10_000).map(next).find(free).expect("a port is free")
}

pub fn run(command: &str) {
    output(command);
}

pub fn output(command: &str) -> String {
    let mut words = command.split(' ');
    let output = Command::new(words.next().unwrap()).args(words).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn wait(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < end, "waited 30 s for {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

pub fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02X}")).collect()
}

pub fn text_of(path: &Path) -> &str {
    path.to_str().unwrap()
}
