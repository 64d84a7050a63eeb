//! The gateway. (Already here and to be wired: `journal` (open/append/rotate, Image, Entry), `health`, `kea`, `outbox`, `radius`, `status`;
//! see each module's top comment.)

mod health;
mod journal;
mod kea;
mod outbox;
mod radius;
mod status;

fn main() {}
