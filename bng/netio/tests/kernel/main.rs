//! The real kernel, in network namespaces of our own. Needs root.

mod capture;
mod gate;
mod guard;
mod links;
mod netns;
mod shaper;
