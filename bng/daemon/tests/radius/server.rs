//! A FreeRADIUS of the test's own: started, killed and started again when the test likes.

use std::{
    fs::{self, File},
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use lastmile_bng::radius::Server;
use tempfile::TempDir;

/// See the module. Killed when dropped.
pub struct FreeRadius {
    folder: TempDir,
    name: String,
    auth: SocketAddr,
    acct: SocketAddr,
    secret: String,
    child: Option<Child>,
}

/// What a server does with requests of a kind. It answers Status-Server all the same.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manners {
    /// As its users are.
    Answers,
    /// FreeRADIUS' own policy `do_not_respond`.
    Ignores,
}

impl FreeRadius {
    /// One that answers, with a secret and a name of its own (the Filter-Id of what it accepts).
    pub fn start(name: &str, secret: &str) -> Self {
        let mut server = Self::down(name, secret);
        server.run();
        server
    }

    /// One that does not run yet.
    pub fn down(name: &str, secret: &str) -> Self {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("dictionary"), BROADBAND).unwrap();
        let (auth, acct) = (free_port(), free_port());
        let server = Self { folder, name: name.to_owned(), auth, acct, secret: secret.to_owned(), child: None };
        server.configure(Manners::Answers, Manners::Answers);
        server
    }

    /// Starts it, again if need be, with these manners.
    pub fn behave(&mut self, access: Manners, accounting: Manners) {
        self.kill();
        self.configure(access, accounting);
        self.run();
    }

    fn configure(&self, access: Manners, accounting: Manners) {
        let config = config(self.folder.path(), &self.name, &self.secret, self.auth, self.acct);
        let ignoring = |config: String, manners, mark| {
            config.replace(mark, if manners == Manners::Ignores { DO_NOT_RESPOND } else { "" })
        };
        let config = ignoring(config, access, "@access");
        let config = ignoring(config, accounting, "@accounting");
        fs::write(self.folder.path().join("radiusd.conf"), config).unwrap();
    }

    /// Starts it, again if need be, and waits until it serves.
    pub fn run(&mut self) {
        let log = self.folder.path().join("log");
        let program = ["/usr/sbin/freeradius", "/usr/sbin/radiusd"].into_iter().find(|path| Path::new(path).exists());
        let child = Command::new(program.expect("FreeRADIUS is not installed: `make setup` installs it"))
            .args(["-f", "-l", "stdout", "-d"])
            .arg(self.folder.path())
            .stdout(File::create(&log).unwrap())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(child.unwrap());
        let end = Instant::now() + Duration::from_secs(30);
        while !fs::read_to_string(&log).unwrap().contains("Ready to process requests") {
            let ended = self.child.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some());
            let log = || fs::read_to_string(&log).unwrap();
            assert!(!ended && Instant::now() < end, "FreeRADIUS does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// How a gateway is told of it.
    pub fn as_server(&self) -> Server {
        Server {
            auth: self.auth,
            acct: self.acct,
            secret: self.secret.clone().into_bytes(),
            require_message_authenticator: true,
        }
    }

    /// What it was asked, a line each: Access-Requests as `Access USER`, accounting as
    /// `TYPE SESSION delay=SECONDS at=EVENT-TIMESTAMP octets=GIGAWORDS/OCTETS`.
    pub fn heard(&self) -> Vec<String> {
        self.lines("heard")
    }

    /// Agent-Circuit-Id and Agent-Remote-Id of every request, a line each: `0xHEX 0xHEX`.
    pub fn agents(&self) -> Vec<String> {
        self.lines("agents")
    }

    /// Who and where every accounting record is of, and the classes it brought back, a line each:
    /// `TYPE USER NAS-IDENTIFIER NAS-IP-ADDRESS NAS-PORT-ID NAS-PORT-TYPE CALLING-STATION-ID FRAMED-IP-ADDRESS CLASS,CLASS`.
    pub fn identities(&self) -> Vec<String> {
        self.lines("identities")
    }

    fn lines(&self, file: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for FreeRadius {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> SocketAddr {
    UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

/// As the policy `do_not_respond` of FreeRADIUS' default configuration.
const DO_NOT_RESPOND: &str = "update control {
			Response-Packet-Type := Do-Not-Respond
		}
		handled";

/// Its own installation knows the other vendors.
const BROADBAND: &str = "VENDOR Broadband 43242\nBEGIN-VENDOR Broadband\nATTRIBUTE Broadband-Download-Rate 1 integer\n\
    ATTRIBUTE Broadband-Upload-Rate 2 integer\nATTRIBUTE Broadband-Download-Burst 3 integer\n\
    ATTRIBUTE Broadband-Upload-Burst 4 integer\nEND-VENDOR Broadband\n";

/// Users are what they are called: `nobody` is rejected, the others get the attributes of their name. Records of sessions that are called
/// `poison` are heard and never answered.
fn config(folder: &Path, name: &str, secret: &str, auth: SocketAddr, acct: SocketAddr) -> String {
    let (folder, auth, acct) = (folder.display(), auth.port(), acct.port());
    format!(
        r#"name = radiusd
confdir = {folder}
logdir = {folder}
run_dir = {folder}
libdir = /usr/lib/freeradius
max_request_time = 30
cleanup_delay = 5
max_requests = 16384
log {{
	destination = stdout
	auth = no
}}
security {{
	max_attributes = 200
	reject_delay = 0
	status_server = yes
}}
proxy_requests = no
thread pool {{
	start_servers = 2
	max_servers = 4
	min_spare_servers = 1
	max_spare_servers = 4
	max_requests_per_server = 0
	auto_limit_acct = no
}}
client test {{
	ipaddr = 127.0.0.0/8
	secret = "{secret}"
	require_message_authenticator = yes
}}
modules {{
	always ok {{
		rcode = ok
	}}
	always reject {{
		rcode = reject
	}}
	always handled {{
		rcode = handled
	}}
	linelog asked {{
		filename = {folder}/heard
		format = "Access %{{User-Name}}"
	}}
	linelog agents {{
		filename = {folder}/agents
		format = "%{{ADSL-Agent-Circuit-Id}} %{{ADSL-Agent-Remote-Id}}"
	}}
	linelog identities {{
		filename = {folder}/identities
		format = "%{{Acct-Status-Type}} %{{User-Name}} %{{NAS-Identifier}} %{{NAS-IP-Address}} %{{NAS-Port-Id}} %{{NAS-Port-Type}} %{{Calling-Station-Id}} %{{Framed-IP-Address}} %{{Class[*]}}"
	}}
	linelog told {{
		filename = {folder}/heard
		format = "%{{Acct-Status-Type}} %{{Acct-Session-Id}} delay=%{{Acct-Delay-Time}} at=%{{integer:Event-Timestamp}} octets=%{{%{{Acct-Output-Gigawords}}:-0}}/%{{Acct-Output-Octets}}"
	}}
}}
server test {{
	listen {{
		type = auth
		ipaddr = 127.0.0.1
		port = {auth}
	}}
	listen {{
		type = acct
		ipaddr = 127.0.0.1
		port = {acct}
	}}
	authorize {{
		asked
		agents
		@access
		if (User-Name == "nobody") {{
			update reply {{
				Reply-Message := "not paid"
				Message-Authenticator := 0x00
			}}
			reject
		}}
		update control {{
			Auth-Type := Accept
		}}
		update reply {{
			Filter-Id := "{name}"
			Class := "%{{User-Name}}"
			Message-Authenticator := 0x00
		}}
		switch &User-Name {{
			case "all" {{
				update reply {{
					Session-Timeout := 3600
					Idle-Timeout := 600
					Acct-Interim-Interval := 300
					Framed-IP-Address := 100.64.1.10
					Class += "second"
				}}
			}}
			case "wispr" {{
				update reply {{
					WISPr-Bandwidth-Max-Down := 20000000
					WISPr-Bandwidth-Max-Up := 5000000
				}}
			}}
			case "mikrotik" {{
				update reply {{
					Mikrotik-Rate-Limit := "2M/10M 4M/20M 2M/10M 8/8"
				}}
			}}
			case "cisco" {{
				update reply {{
					Cisco-AVPair += "lcp:interface-config#1=rate-limit output 10000000 1875000 3750000 conform-action transmit exceed-action drop"
					Cisco-AVPair += "lcp:interface-config#2=rate-limit input 2000000 375000 750000 conform-action transmit exceed-action drop"
				}}
			}}
			case "broadband" {{
				update reply {{
					Broadband-Download-Rate := 8000
					Broadband-Upload-Rate := 2000
					Broadband-Download-Burst := 800
					Broadband-Upload-Burst := 200
				}}
			}}
		}}
	}}
	accounting {{
		told
		agents
		identities
		@accounting
		if (User-Name == "poison") {{
			{DO_NOT_RESPOND}
		}}
		ok
	}}
}}
"#
    )
}
