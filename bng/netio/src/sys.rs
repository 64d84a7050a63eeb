//! Small wrappers of system calls that no crate offers safely.
