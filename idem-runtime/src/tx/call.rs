//! One call of a handler in tx mode: claim, run and record, all in the caller's transaction.
//!
//! A claim writes a *pending* row, in the state [`State::Free`](crate::protocol::State). It keeps other calls away only
//! because it isn't committed: the database makes them wait. Once committed, a pending row counts as absent. So a call
//! that is cancelled or panics needn't undo anything: if its caller commits all the same, nothing is claimed.

use std::time::Duration;

use super::ended::{has_ended, lost};
use super::found::{Found, Standing};
use super::sql::{self, Place};
use super::{BlockingTransaction, Failure, Transaction};
use crate::codec::fingerprint::FingerprintInput;
use crate::engine::{checked_fingerprint, ended, refuse, replay};
use crate::error::{Error, ScopedKey, StoreError};
use crate::handler::policy::{DecodePolicy, ReleaseErrors};
use crate::handler::{Event, Ops, Returned, Site, Watch, recording};
use crate::protocol::key::KeyInput;
use crate::protocol::{Fingerprint, Key, Leave, Owner, Previous, Record, linger};
use crate::store::numbers::MAX_SCOPE_LEN;
use crate::task::block_on::block_on;
use crate::task::sync::Instant;

/// How often a claim that finds nothing is sent again. It finds nothing if another transaction ended in between.
const CLAIM_ATTEMPTS: u32 = 100;

/// The largest record, in bytes. It is the same as in the stores.
const MAX_RECORD_LEN: usize = 16 * 1024 * 1024;

/// How many bytes of MySQL's largest packet are not the record's.
const REST_OF_PACKET: usize = 16 * 1024;

/// One call of an annotated handler.
#[derive(Debug)]
pub struct TxCall {
    site: &'static Site,
    key: KeyInput,
    fingerprint: FingerprintInput,
    watch: Watch,
}

impl TxCall {
    /// A call that has not claimed yet.
    pub fn new(site: &'static Site, key: KeyInput, fingerprint: FingerprintInput) -> Self {
        Self { site, key, fingerprint, watch: Watch::default() }
    }
}

/// A call that was admitted: its body may run.
#[derive(Debug)]
pub struct Entered {
    site: &'static Site,
    /// `None` if it runs without a key.
    pending: Option<Pending>,
    started: Option<Instant>,
    watch: Watch,
}

/// The pending row of a call.
#[derive(Debug)]
struct Pending {
    key: Key,
    owner: Owner,
    fence: u64,
    /// Whether the claim took an orphan over.
    took_over: bool,
    max_record_len: usize,
}

impl Pending {
    fn place(&self, site: &'static Site) -> Place<'_> {
        Place { scope: site.scope, key: &self.key, owner: self.owner, fence: self.fence }
    }
}

/// What a call does after its claim.
enum Admission {
    Run(Option<Pending>, Event),
    Replay(Record),
}

/// Claims the key. `Err`: what the handler returns without running its body.
pub async fn enter<T, O, V, E, D>(mut call: TxCall, tx: &mut T, ops: Ops<O, V, E>, on_decode: D) -> Result<Entered, O>
where
    T: Transaction,
    D: DecodePolicy<V, E>,
{
    let site = call.site;
    call.watch = Watch::start(site, &call.key);
    match admit(&call, tx).await {
        Ok(Admission::Run(pending, event)) => {
            site.observe(event, call.key.key());
            Ok(Entered { site, pending, started: site.starts(), watch: call.watch })
        }
        Ok(Admission::Replay(record)) => {
            site.observe(Event::Replayed, call.key.key());
            let policies = (&ReleaseErrors, &on_decode);
            Err(replay(site, call.key.key(), &mut call.watch, &record, ops, policies))
        }
        Err(error) => Err(refuse(site, call.key.key(), &mut call.watch, error, ops)),
    }
}

/// Records the outcome of the body, and returns it.
pub async fn leave<T, O, V, E>(entered: Entered, tx: &mut T, ops: Ops<O, V, E>, mut output: O) -> O
where
    T: Transaction,
{
    let Entered { site, pending, started, mut watch } = entered;
    site.observe_handler(started);
    let key = pending.as_ref().map(|pending| &pending.key);
    let (mut record, mut is_skipped) = (None, false);
    (ops.recorded)(&mut output, &mut |returned| {
        watch.returned(site, key, returned.event());
        match (returned, &pending) {
            (Returned::Value(encode), Some(pending)) => {
                record = Some(recording::keep(site, key, pending.max_record_len, encode(), ops.decode));
            }
            (Returned::Neither(Leave::NotRun), _) => is_skipped = true,
            _ => {}
        }
    });
    let settled = match &pending {
        Some(pending) => settle(site, pending, tx, record, is_skipped).await,
        None => Ok(()),
    };
    match settled {
        Ok(()) => ended(&mut watch, output, ops),
        Err(error) => refuse(site, key, &mut watch, error, ops),
    }
}

/// Records a result. If there is none, withdraws the claim. If the body did nothing, an orphan stays one.
async fn settle<T: Transaction>(
    site: &'static Site,
    pending: &Pending,
    tx: &mut T,
    record: Option<Record>,
    is_skipped: bool,
) -> Result<(), Error> {
    let sent = site.starts();
    let settled = match record {
        Some(record) => complete(site, pending, tx, &record).await,
        None => {
            let (database, place) = (tx.database(), pending.place(site));
            let undo = if is_skipped && pending.took_over { sql::restore } else { sql::withdraw };
            // A failure is ignored, because the caller needs what the handler returned. Either the transaction has failed
            // before, and its commit fails too, or the row stays and counts as absent.
            let _ = tx.execute(undo(database, &place).statement()).await;
            Ok(())
        }
    };
    site.observe_store(sent);
    settled
}

/// [`enter`], on the calling thread.
pub fn enter_blocking<T, O, V, E, D>(call: TxCall, tx: &mut T, ops: Ops<O, V, E>, on_decode: D) -> Result<Entered, O>
where
    T: BlockingTransaction,
    D: DecodePolicy<V, E>,
{
    block_on(enter(call, tx, ops, on_decode))
}

/// [`leave`], on the calling thread.
pub fn leave_blocking<T, O, V, E>(entered: Entered, tx: &mut T, ops: Ops<O, V, E>, output: O) -> O
where
    T: BlockingTransaction,
{
    block_on(leave(entered, tx, ops, output))
}

async fn admit<T: Transaction>(call: &TxCall, tx: &mut T) -> Result<Admission, Error> {
    let site = call.site;
    site.register()?;
    if site.scope.len() > MAX_SCOPE_LEN {
        return Err(Error::config(format!(
            "the scope `{}` is {} bytes long, and {MAX_SCOPE_LEN} are allowed",
            site.scope,
            site.scope.len()
        )));
    }
    if !tx.is_in_transaction() {
        return Err(Error::NotInTransaction { scope: site.scope });
    }
    let (Some(fingerprint), KeyInput::Key(key)) = (checked_fingerprint(site, &call.key, &call.fingerprint)?, &call.key)
    else {
        return Ok(Admission::Run(None, Event::Unprotected));
    };
    let owner = Owner::random();
    let scoped = || ScopedKey::new(site.scope, key);
    for _ in 0..CLAIM_ATTEMPTS {
        let sent = site.starts();
        let found = claim(site, key, owner, fingerprint, tx).await;
        site.observe_store(sent);
        let Some(found) = found.map_err(|failure| failure.into_error(scoped(), false))? else { continue };
        if found.has_ended {
            return Err(Error::NotInTransaction { scope: site.scope });
        }
        if found.lacks_autocommit {
            return Err(Error::config(format!(
                "{} could not be claimed: its connection has autocommit off: after a deadlock has rolled the transaction back, the \
                 next statement begins a new one, and nobody can tell; set `autocommit = 1`, and begin transactions with the driver's \
                 own method",
                scoped()
            )));
        }
        if let Some((fence, previous)) = found.taken {
            let max_record_len =
                found.packet.map_or(MAX_RECORD_LEN, |most| most.saturating_sub(REST_OF_PACKET).min(MAX_RECORD_LEN));
            let took_over = matches!(previous, Previous::AfterCrash { .. });
            let pending = Pending { key: key.clone(), owner, fence, took_over, max_record_len };
            return Ok(Admission::Run(Some(pending), Event::of(previous)));
        }
        match found.standing(fingerprint) {
            // The key's holder ended while the statement ran: claim again.
            Standing::Takeable => {}
            Standing::Completed => {
                // A completed row without a record is corrupted. An empty record is an error of the decoder, in any
                // version.
                return Ok(Admission::Replay(found.record.unwrap_or_else(|| Record::from_bytes(&[]))));
            }
            Standing::InProgress => {
                return Err(Error::InProgress { key: scoped(), retry_after: found.left });
            }
            Standing::KeyReused => return Err(Error::KeyReused { key: scoped() }),
            Standing::Parked => return Err(Error::OutcomeUnknown { key: scoped() }),
        }
    }
    let source = StoreError::refused(tx.database().name(), "other transactions kept claiming and releasing the key");
    Err(Error::Conflict { key: Some(scoped()), executed: false, source: source.in_own_words() })
}

/// Claims the key, in one statement if the database can do that.
async fn claim<T: Transaction>(
    site: &'static Site,
    key: &Key,
    owner: Owner,
    fingerprint: Option<Fingerprint>,
    tx: &mut T,
) -> Result<Option<Found>, Failure> {
    let database = tx.database();
    let stays = site.ttl.saturating_add(linger(Duration::ZERO));
    let place = Place { scope: site.scope, key, owner, fence: 0 };
    let claim = sql::claim(database, &place, fingerprint.as_ref(), stays);
    let answer = if claim.statement().columns.is_empty() {
        tx.execute(claim.statement()).await?;
        None
    } else {
        tx.query(claim.statement()).await?
    };
    let answer = match answer {
        Some(row) => Some(row),
        None => match sql::read(database, &place) {
            Some(read) => tx.query(read.statement()).await?,
            None => None,
        },
    };
    answer.map(Found::read).transpose()
}

/// Records the outcome, if the claim is still in the transaction.
async fn complete<T: Transaction>(
    site: &'static Site,
    pending: &Pending,
    tx: &mut T,
    record: &Record,
) -> Result<(), Error> {
    let key = || ScopedKey::new(site.scope, &pending.key);
    let database = tx.database();
    if tx.is_in_transaction() {
        let place = pending.place(site);
        let complete = sql::complete(database, &place, record, site.ttl, linger(Duration::ZERO));
        match tx.execute(complete.statement()).await {
            Ok(0) => {}
            Ok(_) => return Ok(()),
            Err(failure) => return Err(failure.into_error(key(), true)),
        }
    }
    if has_ended(tx).await {
        return Err(lost(database, Some(key())));
    }
    let source = StoreError::refused(
        database.name(),
        "the claim is no longer in the transaction: the handler ended the transaction, or a deadlock did, or the handler \
         called itself with the same key; COMMIT and ROLLBACK are the caller's",
    );
    Err(Error::NotRecorded { key: Some(key()), source: source.in_own_words(), in_transaction: true })
}
