//! The consumer. By the handler's answer it acknowledges a message, has it delivered again, or puts it aside.

use std::sync::Arc;
use std::time::Duration;

use idem_runtime::consumer::{Disposition, disposition};
use idem_runtime::{Error, Outcome};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Fatal;
use crate::charge::{ChargeError, Shop, charge};
use crate::delivery::{Deliveries, Delivery};
use crate::report::{Ended, Ending, Reason, Report};

/// How often a message is delivered before it is put aside: RocketMQ's default.
const MAX_DELIVERIES: u32 = 17;

/// How long after a failure a message is delivered again.
const REDELIVERY_DELAY: Duration = Duration::from_millis(20);

/// Handles every delivery of the input, up to `concurrency` at a time. When it returns, no handler is running any more.
pub(crate) async fn consume(shop: &Arc<Shop>, input: Deliveries, concurrency: usize) -> Result<Report, Fatal> {
    let mut running = JoinSet::new();
    let report = deliver_all(shop, input, concurrency, &mut running).await;
    // After an early end some handlers are still running: they are cancelled, and joined.
    running.shutdown().await;
    report
}

async fn deliver_all(
    shop: &Arc<Shop>,
    mut input: Deliveries,
    concurrency: usize,
    running: &mut JoinSet<Result<Ended, Fatal>>,
) -> Result<Report, Fatal> {
    let slots = Arc::new(Semaphore::new(concurrency));
    let mut report = Report::new(input.expected);

    let mut more = true;
    while more || !running.is_empty() {
        tokio::select! {
            line = input.lines.recv(), if more => match line.transpose()? {
                Some(line) => {
                    report.delivered();
                    match line.delivery {
                        Ok(delivery) => {
                            // The permit is taken here, so that deliveries begin in the order in which they came.
                            let slot = Arc::clone(&slots).acquire_owned().await?;
                            let deliver = Deliver::new(shop, &slots, slot);
                            running.spawn(deliver.until_it_ends(line.number, delivery));
                        }
                        Err(error) => report.unreadable(line.number, &error),
                    }
                }
                None => more = false,
            },
            Some(ended) = running.join_next() => report.ended(ended??),
        }
    }
    Ok(report)
}

/// A delivery that is being handled, or waits to be delivered again.
struct Deliver {
    shop: Arc<Shop>,
    slots: Arc<Semaphore>,
    /// The permit that limits how many are handled at a time.
    slot: Option<OwnedSemaphorePermit>,
    in_flight: u32,
    failed: u32,
}

impl Deliver {
    fn new(shop: &Arc<Shop>, slots: &Arc<Semaphore>, slot: OwnedSemaphorePermit) -> Self {
        Self { shop: Arc::clone(shop), slots: Arc::clone(slots), slot: Some(slot), in_flight: 0, failed: 0 }
    }

    async fn until_it_ends(mut self, line: u64, delivery: Delivery) -> Result<Ended, Fatal> {
        let ending = self.deliver(&delivery).await?;
        Ok(Ended { line, order: delivery.order, ending, in_flight: self.in_flight, failed: self.failed })
    }

    async fn deliver(&mut self, delivery: &Delivery) -> Result<Ending, Fatal> {
        for _ in 0..MAX_DELIVERIES {
            let result = charge(&self.shop, &delivery.order).await;
            match (disposition(&result), result) {
                (_, Ok(Outcome::Executed(_) | Outcome::Skipped(_))) => return Ok(Ending::Executed),
                (_, Ok(Outcome::Replayed(_))) => return Ok(Ending::Replayed),
                (Disposition::DeadLetter, Err(error)) => return refuse(error).map(Ending::Refused),
                // Another delivery would fail in the same way.
                (_, Err(error)) if error.is_lasting() => return Err(error.into()),
                // Not acknowledged: the call that is charging the order may still fail.
                (Disposition::Retry { after: Some(after) }, _) => {
                    self.in_flight += 1;
                    self.put_back(after).await?;
                }
                _ => {
                    self.failed += 1;
                    self.put_back(REDELIVERY_DELAY).await?;
                }
            }
        }
        Ok(Ending::Refused(Reason::TooManyDeliveries))
    }

    /// Gives the message back to the broker, which delivers it again after `delay`. Meanwhile other messages are handled.
    async fn put_back(&mut self, delay: Duration) -> Result<(), Fatal> {
        self.slot = None;
        sleep(delay).await;
        self.slot = Some(Arc::clone(&self.slots).acquire_owned().await?);
        Ok(())
    }
}

/// Why a delivery is put aside for a human to look at: delivering it again can't help.
fn refuse(error: ChargeError) -> Result<Reason, Fatal> {
    match error {
        ChargeError::Idempotency(Error::MissingKey { .. } | Error::KeyTooLong { .. }) => Ok(Reason::NoKey),
        ChargeError::Idempotency(Error::KeyReused { .. }) => Ok(Reason::AnotherAmount),
        error => Err(error.into()),
    }
}
