//! Real clients (dhclient, udhcpc), a bridge of two ports, the relay, real Kea. Needs root.

mod bench;
mod dora;
mod guard;
