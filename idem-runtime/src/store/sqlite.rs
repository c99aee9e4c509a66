//! The embedded, durable store.
use crate::error::Error;
use crate::store::memory::MemoryStore as Stub;
/// Stub.
pub(crate) type SqliteStub = Stub;
/// A durable store in one SQLite file.
pub struct SqliteStore;
impl SqliteStore {
    pub(crate) async fn open(_: &str) -> Result<SqliteStub, Error> {
        Ok(Stub::new())
    }
}
