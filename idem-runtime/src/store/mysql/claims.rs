//! Claiming one key or many at a time.

use std::sync::Arc;

use sqlx::mysql::MySqlRow;

use super::dialect::MySql;
use super::session::Script;
use super::{Inner, place_of, room_for, rows, statements};
use crate::protocol::{self, Micros, Operation, Row, State};
use crate::store::sql::{Claiming, Failure, Lanes, Work};
use crate::store::{ClaimAnswer, Grant};

/// The claims of one store.
#[derive(Clone)]
pub(super) struct Claims(pub(super) Arc<Inner>);

impl Work for Claims {
    type Request = Claiming;
    type Answer = ClaimAnswer;
    type Dialect = MySql;

    fn lanes(&self) -> &Lanes<Claiming, ClaimAnswer> {
        &self.0.claiming
    }

    async fn send(&self, requests: &[&Claiming]) -> Result<Vec<Option<ClaimAnswer>>, Failure> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut rest = requests;
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(self.0.fitting(rest, room_for));
            answers.extend(self.0.claim(batch).await?);
            rest = after;
        }
        Ok(answers)
    }
}

impl Inner {
    /// Claims keys in one round trip, or in two if there are many and some may have to be taken over.
    async fn claim(&self, requests: &[&Claiming]) -> Result<Vec<Option<ClaimAnswer>>, Failure> {
        if requests.len() == 1 {
            return self.claim_any(requests).await;
        }
        let mut answers = self.claim_absent(requests).await?;
        let open: Vec<_> = (0..requests.len()).filter(|nth| answers[*nth].is_none()).collect();
        if !open.is_empty() {
            let rest: Vec<_> = open.iter().map(|nth| requests[*nth]).collect();
            for (nth, answer) in open.into_iter().zip(self.claim_any(&rest).await?) {
                answers[nth] = answer;
            }
        }
        Ok(answers)
    }

    /// Claims keys with or without rows, and then reads the rows. An answer is `None` if the key is free in that read:
    /// another claim got in between, or its lease has just ended.
    async fn claim_any(&self, requests: &[&Claiming]) -> Result<Vec<Option<ClaimAnswer>>, Failure> {
        let mut script = self.session.batch(requests.len());
        for request in requests {
            statements::claim(&mut script, request)?;
        }
        let keys: Vec<_> = requests.iter().map(|request| place_of(*request)).collect();
        statements::read(&mut script, &keys)?;
        self.answers(script, requests, &keys, |_| true).await
    }

    /// Inserts the rows of the keys that have none, and then reads all rows. An answer is `None` also if the key has a
    /// row and may be taken over.
    async fn claim_absent(&self, requests: &[&Claiming]) -> Result<Vec<Option<ClaimAnswer>>, Failure> {
        let mut script = self.session.single();
        statements::claim_absent(&mut script, requests)?;
        let keys: Vec<_> = requests.iter().map(|request| place_of(*request)).collect();
        statements::read_as_begun(&mut script, &keys)?;
        // A repeated claim finds its own row from before, which isn't a new grant: its lease has to be renewed.
        self.answers(script, requests, &keys, |found| found.row.fence == found.now).await
    }

    /// Sends a script whose last statement reads the rows of all keys. Returns an answer for each request.
    async fn answers(
        &self,
        script: Script,
        requests: &[&Claiming],
        keys: &[(&[u8], &[u8])],
        is_granted: impl Fn(&Found) -> bool,
    ) -> Result<Vec<Option<ClaimAnswer>>, Failure> {
        let mut answers = vec![None; requests.len()];
        for columns in &self.session.fetch(script).await? {
            let nth = keys.binary_search(&rows::place(columns)?).ok();
            if let Some((answer, request)) = nth.and_then(|nth| answers.get_mut(nth).zip(requests.get(nth))) {
                let row = rows::read(columns, &request.scope, &request.key)?;
                let found = Found { row, now: rows::now(columns)? };
                *answer = if !found.is_held_by(request) {
                    found.tells(request, columns)?
                } else if is_granted(&found) {
                    Some(found.grants())
                } else {
                    None
                };
            }
        }
        Ok(answers)
    }
}

/// A row, and the time when it was read.
struct Found {
    row: Row,
    now: Micros,
}

impl Found {
    fn is_held_by(&self, request: &Claiming) -> bool {
        self.row.state == State::Running && self.row.owner == request.owner
    }

    fn grants(&self) -> ClaimAnswer {
        let Row { fence, attempt, previous, .. } = self.row;
        ClaimAnswer::Acquired(Grant { fence, attempt, previous })
    }

    /// The answer to a claim of a key that it doesn't hold; `None` if the claim may have the key.
    fn tells(&self, request: &Claiming, columns: &MySqlRow) -> Result<Option<ClaimAnswer>, Failure> {
        let next = protocol::step(Some(&self.row), Operation::Claim(&request.request()), self.now);
        if next.row.is_some() {
            return Ok(None);
        }
        let record = rows::record(columns)?;
        Ok(Some(next.reply.into_claim(|| record)))
    }
}
