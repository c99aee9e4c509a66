//! The responses and the statuses of tonic.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use prost::Message;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Serialize, Serializer};
use tonic::metadata::MetadataMap;
use tonic::{Code, Response, Status};

use super::wire::{Bytes, Headers};
use super::{Recordable, RecordableError, marker};
use crate::codec::DecodeError;
use crate::codec::record::{self, Encoded};
use crate::error::Error;
use crate::protocol::Record;

/// What is recorded of a [`tonic::Response<M>`]: its message and its metadata. Make it with `.into()`, in a function
/// that is given as `on_crash` or `on_decode`.
///
/// The message is recorded as Protocol Buffers encode it. So a later version of the program reads it, if its message
/// keeps to [their rules](https://protobuf.dev/programming-guides/proto3/#updating).
///
/// ```
/// use idem_runtime::output::Recorded;
/// use tonic::Response;
///
/// let found: Recorded<u64> = Response::new(500).into();
/// ```
pub struct Recorded<M> {
    message: M,
    metadata: MetadataMap,
}

impl<M> From<Response<M>> for Recorded<M> {
    fn from(response: Response<M>) -> Self {
        let (metadata, message, _) = response.into_parts();
        Self { message, metadata }
    }
}

impl<M> fmt::Debug for Recorded<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded").finish_non_exhaustive()
    }
}

/// A response whose parts are borrowed.
struct Lent<'a, M> {
    message: &'a M,
    metadata: &'a MetadataMap,
}

impl<M: Message> Serialize for Lent<'_, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (written(self.metadata), Bytes(self.message.encode_to_vec())).serialize(serializer)
    }
}

impl<M: Message> Serialize for Recorded<M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Lent { message: &self.message, metadata: &self.metadata }.serialize(serializer)
    }
}

impl<'de, M: Message + Default> Deserialize<'de> for Recorded<M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (metadata, message) = <(Headers, Bytes<Vec<u8>>)>::deserialize(deserializer)?;
        // Without prost's own text, which can name what it read.
        let message = M::decode(&*message.0).map_err(|_| D::Error::custom("a message of this type"))?;
        Ok(Self { message, metadata: read(metadata).ok_or_else(|| D::Error::custom("metadata"))? })
    }
}

/// Text and binary values alike, as they are sent.
fn written(metadata: &MetadataMap) -> Vec<(&str, Bytes<&[u8]>)> {
    let headers: &HeaderMap = metadata.as_ref();
    headers.iter().map(|(name, value)| (name.as_str(), Bytes(value.as_bytes()))).collect()
}

fn read(written: Headers) -> Option<MetadataMap> {
    let mut headers = HeaderMap::new();
    for (name, value) in written {
        let value = HeaderValue::try_from(value.0).ok()?;
        headers.try_append(HeaderName::try_from(name).ok()?, value).ok()?;
    }
    Some(MetadataMap::from_headers(headers))
}

#[diagnostic::do_not_recommend]
impl<M: Message + Default> Recordable<marker::Tonic> for Response<M> {
    type Value = Recorded<M>;

    fn recorded(&mut self) -> impl Serialize + '_ {
        Lent { message: self.get_ref(), metadata: self.metadata() }
    }

    fn replayed(recorded: Recorded<M>) -> Self {
        Self::from_parts(recorded.metadata, recorded.message, tonic::Extensions::default())
    }
}

/// A status, with its code, message, details and metadata.
struct RecordedStatus(Status);

impl<'de> Deserialize<'de> for RecordedStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (code, message, details, metadata) = <(i32, String, Bytes<Vec<u8>>, Headers)>::deserialize(deserializer)?;
        let metadata = read(metadata).ok_or_else(|| D::Error::custom("metadata"))?;
        let code = Code::from_i32(code);
        Ok(Self(Status::with_details_and_metadata(code, message, details.0.into(), metadata)))
    }
}

#[diagnostic::do_not_recommend]
impl RecordableError<marker::Tonic> for Status {
    fn encode(&self) -> Option<Record> {
        let code: i32 = self.code().into();
        record::encode_error(&(code, self.message(), Bytes(self.details()), written(self.metadata())))
    }

    fn decode(encoded: Encoded<'_>) -> Result<Self, DecodeError> {
        encoded.decode().map(|RecordedStatus(status)| status)
    }
}

/// The status has the code of [`Error::grpc_code`], the message of [`Error::public`], and the error as its source, which
/// isn't sent.
impl From<Error> for Status {
    fn from(error: Error) -> Self {
        let mut status = Self::new(Code::from_i32(error.grpc_code()), error.public().to_string());
        status.set_source(Arc::new(error));
        status
    }
}
