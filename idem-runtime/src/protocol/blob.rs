//! Bytes that are stored in place while they are few.

use std::sync::Arc;

/// At most `N` bytes are stored in place. More bytes are stored on the heap and shared.
///
/// Cloning never copies more than `N` bytes, and allocates nothing.
#[derive(Clone)]
pub(super) enum Blob<const N: usize> {
    Inline { len: u8, bytes: [u8; N] },
    Shared(Arc<[u8]>),
}

impl<const N: usize> Blob<N> {
    pub(super) fn new(from: &[u8]) -> Self {
        const { assert!(N <= u8::MAX as usize) };
        if from.len() <= N {
            let mut bytes = [0; N];
            bytes[..from.len()].copy_from_slice(from);
            #[expect(clippy::cast_possible_truncation, reason = "N fits in a byte")]
            Self::Inline { len: from.len() as u8, bytes }
        } else {
            Self::Shared(from.into())
        }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Shared(bytes) => bytes,
        }
    }
}
