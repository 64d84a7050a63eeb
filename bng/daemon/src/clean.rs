//! `lastmile-bng clean`: takes away what a gateway that has ended for good left on its node.
//!
//! In the kernel: its table, its classes, the pools' routes, the neighbour entries of who was let through. On the disk: its journal,
//! so that no later gateway of this name goes on with sessions that were closed in the meantime. Accounting that no server had
//! acknowledged is put aside for people; it is all that stays. It never touches a gateway that runs, nor what another
//! gateway has on the node, and it may be run again and again.

use std::{path::Path, time::Duration};

use lastmile_netio::{
    gate::{self, Remains},
    links::Links,
    neighbours::Neighbours,
    routes::Routes,
    shaper::{self, ShaperError, Way},
};
use lastmile_types::BngId;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::{info, warn};

use crate::{
    journal::{Abandoned, Image, JournalError},
    radius::dead_letters::{DeadLetters, Reason},
};

/// Between looks whether the gateway still has its journal.
const AGAIN: Duration = Duration::from_millis(500);

/// Why something is left.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// The gateway runs, or its journal cannot be used.
    #[error("the journal cannot be removed")]
    Journal(#[from] JournalError),
    /// The kernel refused something.
    #[error("the kernel's state cannot be removed")]
    Kernel(#[from] lastmile_netio::Error),
    /// Its classes.
    #[error("the classes cannot be removed")]
    Classes(#[from] ShaperError),
    /// Accounting could not be put aside; the journal still has it.
    #[error("accounting records cannot be put aside")]
    DeadLetters(#[source] std::io::Error),
}

/// Removes it all; waits at most `patience` for a gateway that is about to end.
pub async fn clean(bng_id: &BngId, state_dir: &Path, patience: Duration) -> Result<(), CleanError> {
    let journal = lock(state_dir, patience).await?;
    kernel(bng_id).await?;
    let image = journal.read()?;
    put_aside(state_dir, &image).map_err(CleanError::DeadLetters)?;
    journal.remove()?;
    let sessions = image.snapshot.sessions.len();
    if sessions > 0 || !image.events.is_empty() {
        warn!(
            bng = %bng_id, sessions, events = image.events.len(),
            "the gateway ended without a drain: the operator closes its sessions with the counters that the database has"
        );
    }
    info!(bng = %bng_id, "nothing of the gateway is left on this node");
    Ok(())
}

async fn lock(state_dir: &Path, patience: Duration) -> Result<Abandoned, JournalError> {
    let began = Instant::now();
    loop {
        match Abandoned::lock(state_dir) {
            Err(JournalError::Locked(_)) if began.elapsed() < patience => sleep(AGAIN).await,
            locked => return locked,
        }
    }
}

async fn kernel(bng_id: &BngId) -> Result<(), CleanError> {
    let Remains { admitted, others } = gate::remains(bng_id)?;
    let interfaces = Links::open()?.all().await?;
    let neighbours = Neighbours::open()?;
    for (index, _) in &interfaces {
        let known = neighbours.list(*index).await?;
        for neighbour in known.iter().filter(|known| admitted.contains(&known.ip)) {
            neighbours.unpin(*index, neighbour.ip).await?;
        }
    }
    let ways: Vec<_> = interfaces.into_iter().map(|(index, interface)| Way { interface, index }).collect();
    shaper::remove(bng_id, &ways)?;
    // They do not say whose they are; a gateway that is here takes away what is not its own when it starts.
    if !others {
        let routes = Routes::open()?;
        for prefix in routes.list().await? {
            routes.remove(prefix).await?;
        }
    }
    gate::remove(bng_id)?;
    Ok(())
}

fn put_aside(state_dir: &Path, image: &Image) -> std::io::Result<()> {
    let letters = DeadLetters::open(state_dir, watch::Sender::new(0));
    image.accounting.iter().try_for_each(|record| letters.write(record, Reason::GatewayEnded))
}
