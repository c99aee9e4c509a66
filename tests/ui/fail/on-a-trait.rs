use idem_runtime::idempotent;

#[idempotent(key = "id")]
pub trait Handle {
    fn handle(&self);
}

fn main() {}
