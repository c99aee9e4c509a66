//! The sample: 10,000 deliveries of 6,000 orders. It is the same each time that it is generated.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::Fatal;
use crate::delivery::{Delivery, Order};

const ORDERS: u64 = 6_000;
/// Messages that a producer sends again after a time-out, under a new message id.
const RESENT: u64 = 1_400;
/// Messages that the broker delivers again, under the same message id.
const REDELIVERED: u64 = 1_400;
/// Messages that are delivered twice at the same time, half of them under a new message id.
const CONCURRENT: u64 = 1_000;
/// Messages with the id of an order and another amount.
const TAMPERED: u64 = 100;
/// Messages without an order id.
const KEYLESS: u64 = 100;

/// How many orders behind its own a delivery with another amount comes. It is far enough that the order is charged by then, as the
/// amount that comes first counts as the right one.
const TAMPERED_BEHIND: u64 = 2_000;

/// Writes the sample, one delivery per line.
pub(crate) fn write_to(target: &Path) -> Result<(), Fatal> {
    if target.as_os_str() == "-" {
        return Ok(write(io::stdout().lock())?);
    }
    let file = File::create(target).map_err(|error| format!("{}: {error}", target.display()))?;
    Ok(write(file)?)
}

fn write(target: impl Write) -> io::Result<()> {
    let mut target = BufWriter::new(target);
    for delivery in generate() {
        serde_json::to_writer(&mut target, &delivery)?;
        target.write_all(b"\n")?;
    }
    target.flush()
}

fn generate() -> Vec<Delivery> {
    let mut random = Random(0x5eed_0123_4567_89ab);
    let mut timeline = Timeline::default();

    // Order `n` first arrives at minute `n`.
    let orders: Vec<Delivery> = (1..=ORDERS)
        .map(|n| Delivery {
            message: random.message_id(),
            order: Order { id: Some(format!("order-{n:05}")), cents: random.between(100, 50_000) },
        })
        .collect();
    for (minute, first) in (0..).zip(&orders) {
        timeline.add(minute, first.message.clone(), first.order.clone());
    }
    for _ in 0..RESENT {
        let (minute, first) = random.pick(&orders);
        timeline.add(minute + random.between(5, 300), random.message_id(), first.order.clone());
    }
    for _ in 0..REDELIVERED {
        let (minute, first) = random.pick(&orders);
        timeline.add(minute + random.between(20, 1_000), first.message.clone(), first.order.clone());
    }
    for n in 0..CONCURRENT {
        let (minute, first) = random.pick(&orders);
        let message = if n % 2 == 0 { first.message.clone() } else { random.message_id() };
        timeline.add(minute, message, first.order.clone());
    }
    for _ in 0..TAMPERED {
        let (minute, first) = random.pick(&orders);
        let cents = first.order.cents + random.between(1, 10_000);
        timeline.add(minute + TAMPERED_BEHIND, random.message_id(), Order { cents, ..first.order.clone() });
    }
    for n in 0..KEYLESS {
        let id = if n % 2 == 0 { None } else { Some(String::new()) };
        let order = Order { id, cents: random.between(100, 50_000) };
        timeline.add(random.between(0, ORDERS), random.message_id(), order);
    }
    timeline.in_order()
}

#[derive(Default)]
struct Timeline(Vec<(u64, Delivery)>);

impl Timeline {
    fn add(&mut self, minute: u64, message: String, order: Order) {
        self.0.push((minute, Delivery { message, order }));
    }

    /// The deliveries by minute. Those of the same minute keep the order in which they were added.
    fn in_order(mut self) -> Vec<Delivery> {
        self.0.sort_by_key(|(minute, _)| *minute);
        self.0.into_iter().map(|(_, delivery)| delivery).collect()
    }
}

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016): small, and
/// the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Both ends included.
    fn between(&mut self, low: u64, high: u64) -> u64 {
        low + (self.next() >> 16) % (high - low + 1)
    }

    fn message_id(&mut self) -> String {
        format!("{:016X}", self.next())
    }

    /// An order's first delivery, and its minute.
    fn pick<'a>(&mut self, orders: &'a [Delivery]) -> (u64, &'a Delivery) {
        let index = self.between(0, orders.len() as u64 - 1);
        (index, &orders[usize::try_from(index).unwrap_or(0)])
    }
}
