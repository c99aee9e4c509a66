//! What the page on stuck keys shows.

#![expect(dead_code, reason = "it is shown, and not run")]

use std::error::Error;
use std::time::Duration;

use idem_runtime::admin::{self, Filter, Resolution};
use idem_runtime::store::Key;

struct Provider;

impl Provider {
    async fn find(&self, _: &Key) -> Result<Option<String>, Box<dyn Error>> {
        Ok(None)
    }
}

async fn settle(provider: Provider) -> Result<(), Box<dyn Error>> {
    let admin = admin::connect("postgres://operator@db.example/app").await?;
    for stuck in admin.list(Filter::all().scope("shop/orders/charge").orphans()).await? {
        let word = match provider.find(&stuck.key).await? {
            Some(receipt) => Resolution::executed(&receipt, Duration::from_secs(7 * 24 * 60 * 60))?,
            None => Resolution::NotExecuted,
        };
        admin.resolve(&stuck.scope, &stuck.key, word).await?;
    }
    Ok(())
}
