//! What the `klamm` program can be asked to do on this machine; tools that speak to a cluster lie in
//! the crate `tools`.

pub(crate) mod image;
pub(crate) mod server;
