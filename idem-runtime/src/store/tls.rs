//! The parts of TLS that the drivers leave to this crate.

use std::io;

/// Installs a provider of cryptography for the process, unless the application has installed one. Without it, a driver
/// panics if several providers are linked.
#[cfg(feature = "tls")]
pub(super) fn prepare() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Does nothing: if there is TLS, the application's own features turned it on.
#[cfg(not(feature = "tls"))]
pub(super) fn prepare() {}

/// Whether the client refused the server's certificate, so that another attempt would fail too.
#[cfg(feature = "tls")]
pub(super) fn is_refusal(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(error, Some(rustls::Error::InvalidCertificate(_)))
}

/// Can't tell: the application's own features chose the TLS library.
#[cfg(not(feature = "tls"))]
pub(super) fn is_refusal(_: &io::Error) -> bool {
    false
}
