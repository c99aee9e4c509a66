//! The requests of a call, with the settings of its site.

use crate::codec::fingerprint::FingerprintInput;
use crate::error::Error;
use crate::handler::Site;
use crate::protocol::key::KeyInput;
use crate::protocol::{ClaimRequest, CompleteRequest, Fingerprint, Key, Leave, Owner, Record, ReleaseRequest};

/// The fingerprint of a call that has a key. `None` if it has no key and `missing_key = "run"` lets it run.
///
/// # Errors
///
/// The key is missing or too long, or the fingerprint can't be encoded.
pub(crate) fn checked_fingerprint(
    site: &Site,
    key: &KeyInput,
    fingerprint: &FingerprintInput,
) -> Result<Option<Option<Fingerprint>>, Error> {
    let scope = site.scope;
    match key {
        KeyInput::Key(_) => {}
        KeyInput::Missing(_) if site.runs_without_key => return Ok(None),
        KeyInput::Missing(part) => return Err(site.missing_key(*part)),
        KeyInput::TooLong(length) => return Err(Error::KeyTooLong { scope, length: *length }),
    }
    match fingerprint {
        FingerprintInput::None => Ok(Some(None)),
        FingerprintInput::Of(fingerprint) => Ok(Some(Some(*fingerprint))),
        FingerprintInput::Unencodable => Err(Error::FingerprintUnavailable { scope }),
    }
}

pub(super) fn claim_request<'a>(
    site: &'static Site,
    key: &'a Key,
    owner: Owner,
    fingerprint: Option<Fingerprint>,
) -> ClaimRequest<'a> {
    let mut request = ClaimRequest::new(site.scope, key, owner, site.lease);
    request.fingerprint = fingerprint;
    request.orphans = site.orphans;
    request.retain = site.retain();
    request
}

pub(super) fn completion<'a>(
    site: &'static Site,
    key: &'a Key,
    owner: Owner,
    fence: u64,
    record: &'a Record,
) -> CompleteRequest<'a> {
    CompleteRequest::new(&claim_request(site, key, owner, None), fence, record, site.ttl)
}

pub(super) fn release<'a>(
    site: &'static Site,
    key: &'a Key,
    owner: Owner,
    fence: u64,
    how: Leave,
) -> ReleaseRequest<'a> {
    let mut request = ReleaseRequest::new(&claim_request(site, key, owner, None), fence, how);
    request.retain = site.ttl;
    request
}
