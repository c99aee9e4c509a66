//! What the drivers leave to do about TLS.

use std::io;

/// Chooses a provider of cryptography for the process, unless the application has chosen one: where several are linked, a
/// driver would panic.
#[cfg(feature = "tls")]
pub(super) fn prepare() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// The application's own features brought TLS, if anything did.
#[cfg(not(feature = "tls"))]
pub(super) fn prepare() {}

/// Whether the server's certificate was refused: it would be again.
#[cfg(feature = "tls")]
pub(super) fn is_refusal(error: &io::Error) -> bool {
    let error = error.get_ref().and_then(|inner| inner.downcast_ref());
    matches!(error, Some(rustls::Error::InvalidCertificate(_)))
}

/// Nobody knows what the application's own features brought.
#[cfg(not(feature = "tls"))]
pub(super) fn is_refusal(_: &io::Error) -> bool {
    false
}
