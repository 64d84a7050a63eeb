//! The real kernel, in network namespaces of our own. Needs root.

mod capture;
mod dormant;
mod forward;
mod garden;
mod gate;
mod guard;
mod links;
mod load;
mod netns;
mod reach;
mod repair;
mod shaper;
mod source;
mod survey;
