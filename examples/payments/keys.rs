//! Opening the store of the keys.

use idem_runtime::AnyStore;
use idem_runtime::admin::Filter;

use crate::Fatal;
use crate::charge::SCOPE;
use crate::options::{Options, Paths};

/// Opens the store. With `--fresh`, deletes this program's keys in it.
pub(crate) async fn open(options: &Options, paths: &Paths) -> Result<AnyStore, Fatal> {
    let store = idem_runtime::connect(&paths.store).await?;
    if options.fresh {
        forget_all(&store).await?;
    }
    Ok(store)
}

/// Deletes key by key, as the store may hold other keys. (The file of the default store is deleted before it is opened.)
async fn forget_all(store: &AnyStore) -> Result<(), Fatal> {
    let Some(admin) = store.admin() else { return Ok(()) };
    let mut filter = Filter::all().scope(SCOPE).limit(1_000);
    loop {
        let page = admin.list(filter.clone()).await?;
        let Some(last) = page.last() else { return Ok(()) };
        filter = filter.after(last);
        for entry in &page {
            admin.forget(&entry.scope, &entry.key).await?;
        }
    }
}
