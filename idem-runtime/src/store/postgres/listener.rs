//! Receiving notifications of endings in other processes. Each store has one connection for it, opened at the first
//! wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::{PgListener, PgPoolOptions};
use tokio::task::AbortHandle;

use super::dialect::Postgres;
use crate::store::Key;
use crate::store::notifiers::Notifiers;
use crate::store::sql::{Connections, Failure};
use crate::store::table::Table;
use crate::task::{background, timer};

/// The pause before a connection that broke is opened again.
const PAUSE: Duration = Duration::from_secs(1);

/// The listener of a store. Dropping it ends its task.
pub(super) struct Listener {
    connections: Connections<sqlx::Postgres>,
    /// The channel has the table's name.
    table: Table,
    /// Whether notifications arrive at present.
    hears: Arc<AtomicBool>,
    task: Mutex<Option<AbortHandle>>,
}

impl Listener {
    /// Makes a listener. Its connection is opened as the store's are, and not counted among them.
    pub(super) fn new(connections: Connections<sqlx::Postgres>, table: Table) -> Self {
        Self { connections, table, hears: Arc::default(), task: Mutex::default() }
    }

    /// Starts the listening task if none runs. Returns whether notifications arrive already. It doesn't listen through
    /// a pooler's sessions: the server would notify another client, in the middle of an answer, and sqlx would take
    /// that for a broken connection.
    pub(super) fn hears(&self, notifiers: &Arc<Notifiers>) -> bool {
        if self.hears.load(Ordering::Acquire) {
            return true;
        }
        if !self.connections.are_apart() {
            return false;
        }
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let (None, Some(runtime)) = (&*task, background::handle()) {
            let (connections, table) = (self.connections.clone(), self.table.clone());
            let listening = listen(connections, table, Arc::clone(&self.hears), Arc::clone(notifiers));
            *task = Some(runtime.spawn(listening).abort_handle());
        }
        false
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(task) = self.task.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

async fn listen(
    connections: Connections<sqlx::Postgres>,
    table: Table,
    hears: Arc<AtomicBool>,
    notifiers: Arc<Notifiers>,
) {
    loop {
        if let Err(error) = hear(&connections, &table, &hears, &notifiers).await {
            let error = Failure::from(error).into_error::<Postgres>();
            tracing::debug!(%error, "no notifications of endings arrive from other processes: waiting calls poll");
        }
        hears.store(false, Ordering::Release);
        timer::sleep(PAUSE).await;
    }
}

async fn hear(
    connections: &Connections<sqlx::Postgres>,
    table: &Table,
    hears: &AtomicBool,
    notifiers: &Notifiers,
) -> sqlx::Result<()> {
    // A new pool each time, because the password may have changed.
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(connections.options());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(table.name()).await?;
    hears.store(true, Ordering::Release);
    // Endings before this point were not notified, so all waiters look.
    notifiers.notify_all();
    while let Some(notification) = listener.try_recv().await? {
        if let Some((scope, key)) = place(notification.payload()) {
            notifiers.notify(scope, &key);
        }
    }
    Ok(())
}

/// Parses a notification's payload into its scope and key: the key in hexadecimal, a space, the scope.
fn place(payload: &str) -> Option<(&str, Key)> {
    let (key, scope) = payload.split_once(' ')?;
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = key.as_bytes().chunks(2).map(byte).collect();
    Some((scope, Key::from_bytes(&bytes?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_names_its_key() {
        let (scope, key) = place("00ff41 a scope").expect("it is one");
        assert_eq!((scope, key.as_bytes()), ("a scope", &b"\0\xffA"[..]));
        assert!(place("00ff").is_none() && place("zz scope").is_none() && place(" scope").is_none());
    }
}
