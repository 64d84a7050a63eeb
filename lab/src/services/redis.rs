//! Redis: the event bus.
use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result};

use super::ServicesSpec;
use crate::process::Part;
use crate::secrets::write_private;

/// Redis' port.
pub const PORT: u16 = 6379;

/// `redis.conf`. Events may not be evicted: a full Redis refuses writes and the gateways keep them.
pub fn config(spec: &ServicesSpec) -> String {
    let dir = spec.dir.join("redis");
    let fsync = if spec.durable { "everysec" } else { "no" };
    format!(
        "bind {}\nport {PORT}\ndir {}\nrequirepass {}\nappendonly yes\nappendfsync {fsync}\nsave \"\"\n\
         maxmemory-policy noeviction\ndaemonize no\nlogfile \"\"\n",
        spec.listen,
        dir.display(),
        spec.secrets.redis,
    )
}

/// Starts it, and waits until it answers.
pub fn start(spec: &ServicesSpec) -> Result<Part> {
    let file = spec.dir.join("redis/redis.conf");
    write_private(&file, &config(spec))?;
    let program = super::find_program("redis-server")?;
    let mut part = spec.place.start("redis", spec.place.command(program).arg(&file))?;
    if spec.place.netns.is_none() {
        let address = SocketAddr::from((spec.listen, PORT));
        part.wait_until(Duration::from_secs(10), || {
            TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
        })?;
    } else {
        // Another namespace's listener is seen in the log.
        part.wait_until_it_says(Duration::from_secs(10), "Ready to accept connections")?;
    }
    fs::metadata(&file).context("Redis' configuration vanished")?;
    Ok(part)
}
