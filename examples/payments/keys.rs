//! Opening the store of the keys.

use idem_runtime::AnyStore;
use idem_runtime::admin::Filter;

use crate::Fatal;
use crate::charge::SCOPE;
use crate::options::{Options, Paths};

/// Opens the store; emptied of this program's keys, if so asked.
pub(crate) async fn open(options: &Options, paths: &Paths) -> Result<AnyStore, Fatal> {
    let store = idem_runtime::connect(&paths.store).await?;
    if options.fresh {
        forget_all(&store).await?;
    }
    Ok(store)
}

/// Key by key: the store may hold what isn't ours. (The default one's file is deleted before it is opened.)
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
