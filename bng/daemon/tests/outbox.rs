//! With real services.
