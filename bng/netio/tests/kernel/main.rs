//! The real kernel, in network namespaces of our own. Needs root.

mod capture;
mod garden;
mod gate;
mod guard;
mod links;
mod netns;
mod shaper;
mod source;
