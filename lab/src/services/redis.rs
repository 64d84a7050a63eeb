//! Redis: the event bus.
use std::time::Duration;

use anyhow::Result;

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
    part.wait_until_it_says(Duration::from_secs(10), "Ready to accept connections")?;
    Ok(part)
}
