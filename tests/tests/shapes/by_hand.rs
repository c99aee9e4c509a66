//! The implementation for a tonic of another version, which the book shows. It stands apart from handlers that return tonic's
//! responses: beside the feature `tonic`, the compiler can't know which of two implementations is meant.

use std::borrow::Borrow;

use http::{HeaderMap, HeaderName, HeaderValue};
use idem_runtime::HandlerOutput;
use prost::Message;
use serde::{Deserialize, Serialize};
use tonic::metadata::MetadataMap;
use tonic::{Code, Response, Status};

/// A marker of your own: the orphan rule asks for it.
pub struct Grpc;

#[derive(Serialize, Deserialize)]
pub struct Recorded {
    metadata: Vec<(String, Vec<u8>)>,
    message: Vec<u8>,
}

impl<M: Message + Default> HandlerOutput<Grpc> for Result<Response<M>, Status> {
    type Value = Recorded;
    type Error = Status;

    fn recorded(&mut self) -> Result<impl Serialize + '_, impl Borrow<Status> + '_> {
        let response = match self {
            Ok(response) => response,
            Err(status) => return Err(&*status),
        };
        let headers = response.metadata().clone().into_headers();
        let metadata = headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_owned())).collect();
        Ok(Recorded { metadata, message: response.get_ref().encode_to_vec() })
    }

    fn replayed(recorded: Recorded) -> Self {
        let unreadable = || Status::data_loss("the recorded response can't be read");
        let mut response = Response::new(M::decode(&*recorded.message).map_err(|_| unreadable())?);
        let mut headers = HeaderMap::new();
        for (name, value) in recorded.metadata {
            let name = HeaderName::try_from(name).map_err(|_| unreadable())?;
            headers.append(name, HeaderValue::try_from(value).map_err(|_| unreadable())?);
        }
        *response.metadata_mut() = MetadataMap::from_headers(headers);
        Ok(response)
    }

    fn failed(status: Status) -> Self {
        Err(status)
    }

    fn refused(error: idem_runtime::Error) -> Self {
        Err(Status::new(Code::from_i32(error.grpc_code()), error.public().to_string()))
    }
}

type Output = Result<Response<u64>, Status>;

#[test]
fn the_implementation_to_copy_brings_back_the_message_and_the_metadata() {
    let mut response = Response::new(500);
    response.metadata_mut().append("shop", "north".parse().unwrap());
    response.metadata_mut().append("shop", "south".parse().unwrap());
    let mut output: Output = Ok(response);
    let record = serde_json::to_string(&HandlerOutput::<Grpc>::recorded(&mut output).ok().unwrap()).unwrap();
    let replayed = <Output as HandlerOutput<Grpc>>::replayed(serde_json::from_str(&record).unwrap()).unwrap();
    let first = output.unwrap();
    assert_eq!(replayed.get_ref(), first.get_ref());
    assert_eq!(replayed.metadata().as_ref(), first.metadata().as_ref());
}
