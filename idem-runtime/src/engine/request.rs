//! The requests of a call, with the settings of its site.

use crate::handler::Site;
use crate::protocol::{ClaimRequest, CompleteRequest, Fingerprint, Key, Leave, Owner, Record, ReleaseRequest};

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
