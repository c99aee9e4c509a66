use idem_runtime::{Error, tx};

fn finish(savepoint: rusqlite::Savepoint<'_>) -> Result<(), Error> {
    tx::commit(savepoint)
}

fn main() {}
