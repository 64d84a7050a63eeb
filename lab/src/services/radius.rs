//! FreeRADIUS: one small virtual server of our own, users and accounting in PostgreSQL by its stock queries.
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{ServicesSpec, postgres};
use crate::process::Part;
use crate::secrets::write_private;

/// RFC 2865.
pub const AUTH_PORT: u16 = 1812;
/// RFC 2866.
pub const ACCT_PORT: u16 = 1813;
const QUERIES: &str = "/etc/freeradius/3.0/mods-config/sql/main/postgresql";

/// Tables by FreeRADIUS' own schema, and the users.
pub fn init_database(spec: &ServicesSpec) -> Result<()> {
    let file = format!("{QUERIES}/schema.sql");
    let schema = fs::read_to_string(&file).with_context(|| format!("cannot read {file}: `make setup` installs it"))?;
    let script = format!("SET client_min_messages = warning;\n{schema}\n{}", users(spec));
    postgres::psql(spec, "radius", "radius", &spec.secrets.radius_db, &script)
}

/// The users as SQL: a password to check and a Filter-Id to answer.
pub fn users(spec: &ServicesSpec) -> String {
    let quote = |text: &str| text.replace('\'', "''");
    let password = quote(&spec.secrets.subscriber);
    spec.users
        .iter()
        .map(|user| {
            let (name, filter_id) = (quote(&user.name), quote(&user.filter_id));
            format!(
                "INSERT INTO radcheck (username, attribute, op, value) VALUES ('{name}', 'Cleartext-Password', ':=', '{password}');\n\
                 INSERT INTO radreply (username, attribute, op, value) VALUES ('{name}', 'Filter-Id', ':=', '{filter_id}');\n"
            )
        })
        .collect()
}

/// `radiusd.conf`, complete: nothing of Debian's configuration but the SQL queries.
pub fn config(spec: &ServicesSpec) -> String {
    let dir = spec.dir.join("radius").display().to_string();
    let (listen, secret, db_password) = (spec.listen, &spec.secrets.radius, &spec.secrets.radius_db);
    let port = postgres::PORT;
    let clients: String = (1..)
        .zip(&spec.clients)
        .map(|(n, net)| {
            format!(
                "client lab{n} {{\n\tipaddr = {net}\n\tsecret = {secret}\n\trequire_message_authenticator = no\n}}\n"
            )
        })
        .collect();
    format!(
        r#"# Rendered by the lab.
name = radiusd
confdir = {dir}
logdir = {dir}
run_dir = {dir}
libdir = /usr/lib/freeradius
max_request_time = 30
cleanup_delay = 5
max_requests = 16384
log {{
	destination = stdout
	auth = yes
}}
security {{
	max_attributes = 200
	# A gateway waits for its answer, and nobody guesses passwords here.
	reject_delay = 0
	status_server = yes
}}
proxy_requests = no
thread pool {{
	start_servers = 2
	max_servers = 8
	min_spare_servers = 1
	max_spare_servers = 4
	max_requests_per_server = 0
	auto_limit_acct = no
}}
{clients}modules {{
	pap {{
	}}
	expr {{
	}}
	expiration {{
	}}
	always ok {{
		rcode = ok
	}}
	sql {{
		dialect = "postgresql"
		driver = "rlm_sql_postgresql"
		server = "{listen}"
		port = {port}
		login = "radius"
		password = "{db_password}"
		radius_db = "radius"
		acct_table1 = "radacct"
		acct_table2 = "radacct"
		postauth_table = "radpostauth"
		authcheck_table = "radcheck"
		groupcheck_table = "radgroupcheck"
		authreply_table = "radreply"
		groupreply_table = "radgroupreply"
		usergroup_table = "radusergroup"
		client_table = "nas"
		group_attribute = "SQL-Group"
		read_groups = no
		delete_stale_sessions = no
		pool {{
			start = 2
			min = 1
			max = 8
			spare = 4
			uses = 0
			retry_delay = 1
			lifetime = 0
			idle_timeout = 60
		}}
		$INCLUDE {QUERIES}/queries.conf
		# User names hold the circuit-id: `|`, `%` and `=` are stored as they are.
		safe_characters = "@abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_: /|=%"
	}}
}}
server lab {{
	listen {{
		type = auth
		ipaddr = {listen}
		port = {AUTH_PORT}
	}}
	listen {{
		type = acct
		ipaddr = {listen}
		port = {ACCT_PORT}
	}}
	authorize {{
		sql
		pap
	}}
	authenticate {{
		Auth-Type PAP {{
			pap
		}}
	}}
	post-auth {{
		sql
		# This version signs replies only when told (CVE-2024-3596).
		update reply {{
			Message-Authenticator := 0x00
		}}
		Post-Auth-Type REJECT {{
			sql
			update reply {{
				Message-Authenticator := 0x00
			}}
		}}
	}}
	preacct {{
		# radacct's key.
		update request {{
			Acct-Unique-Session-Id := "%{{md5:%{{User-Name}},%{{Acct-Session-Id}},%{{NAS-IP-Address}}}}"
		}}
	}}
	accounting {{
		sql
		# An Accounting-On that finds no open row is done all the same.
		if (noop) {{
			ok
		}}
	}}
}}
"#
    )
}

/// Starts it.
pub fn start(spec: &ServicesSpec) -> Result<Part> {
    let dir = spec.dir.join("radius");
    write_private(&dir.join("radiusd.conf"), &config(spec))?;
    let program = super::find_program("freeradius")?;
    let mut command = spec.place.command(program);
    spec.place.start("freeradius", command.arg("-f").arg("-l").arg("stdout").arg("-d").arg(&dir))
}

/// Waits until it serves.
pub fn wait_ready(_spec: &ServicesSpec, part: &mut Part) -> Result<()> {
    part.wait_until_it_says(Duration::from_secs(15), "Ready to process requests")
}
