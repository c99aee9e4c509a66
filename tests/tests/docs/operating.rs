//! What the page on stuck keys shows, and that the answers are what it says.

use std::time::Duration;

use idem_runtime::admin::{IdempotencyAdmin, Resolution};
use idem_runtime::store::{Key, Standing};
use idem_runtime::{Error, MemoryStore, Outcome, idempotent};
use tokio::time::timeout;

#[expect(dead_code, reason = "it is shown, and not run")]
mod program {
    use std::error::Error;
    use std::time::Duration;

    use idem_runtime::admin::{self, Filter, Resolution};
    use idem_runtime::store::Standing;

    mod provider {
        pub(super) async fn find(_: &str) -> Result<Option<String>, Box<dyn super::Error>> {
            Ok(None)
        }
    }

    const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

    #[tokio::main]
    async fn main() -> Result<(), Box<dyn Error>> {
        let admin = admin::connect("postgres://operator@db.example/app").await?;
        for stuck in admin.list(Filter::all().scope("shop/orders/charge").orphans()).await? {
            let word = match provider::find(&stuck.key.to_string()).await? {
                Some(receipt) => Resolution::executed(&receipt, WEEK)?,
                None => Resolution::NotExecuted,
            };
            match admin.resolve(&stuck.scope, &stuck.key, word).await? {
                Standing::Held => println!("{}: settled", stuck.key),
                refused => eprintln!("{}: nothing was changed: {refused:?}", stuck.key),
            }
        }
        Ok(())
    }
}

const SCOPE: &str = "shop/orders/charge";

#[idempotent(key = "buyer, order", scope = SCOPE, store = store, on_crash = "park")]
async fn charge(store: &MemoryStore, buyer: &str, order: u32, dies: bool) -> Result<Outcome<String>, Error> {
    if dies {
        std::future::pending::<()>().await;
    }
    Ok("charged".to_owned().into())
}

/// What an operator says of a key.
enum Word {
    Executed(&'static str),
    NotExecuted,
    Forget,
}

impl Word {
    async fn say(&self, admin: &dyn IdempotencyAdmin, key: &Key) -> Standing {
        let resolution = match self {
            Self::Executed(result) => Resolution::executed(result, Duration::from_secs(60)).unwrap(),
            Self::NotExecuted => Resolution::NotExecuted,
            Self::Forget => return admin.forget(SCOPE, key).await.unwrap(),
        };
        admin.resolve(SCOPE, key, resolution).await.unwrap()
    }
}

#[tokio::test]
async fn a_word_is_taken_back_as_the_page_says() {
    let replays = |result: &str| Outcome::Replayed(result.to_owned());
    let runs = || Outcome::Executed("charged".to_owned());
    let (executed, not_executed, forget) = (|| Word::Executed("first"), || Word::NotExecuted, || Word::Forget);
    let lines = [
        (executed(), Word::Executed("second"), Standing::Held, replays("second")),
        (executed(), not_executed(), Standing::Lost, replays("first")),
        (executed(), forget(), Standing::Held, runs()),
        (not_executed(), executed(), Standing::Lost, runs()),
        (not_executed(), not_executed(), Standing::Lost, runs()),
        (not_executed(), forget(), Standing::Held, runs()),
    ];
    for (line, (first, next, answer, duplicate)) in (1..).zip(lines) {
        let (store, key) = (MemoryStore::new(), Key::of(&("bob@x.org", line)).unwrap());
        assert_eq!(first.say(&store, &key).await, Standing::Gone);
        drop(timeout(Duration::ZERO, charge(&store, "bob@x.org", line, true)).await);
        assert_eq!(first.say(&store, &key).await, Standing::Held);
        assert_eq!(next.say(&store, &key).await, answer, "line {line}");
        assert_eq!(charge(&store, "bob@x.org", line, false).await.unwrap(), duplicate, "line {line}");
    }
}

#[tokio::test]
async fn a_composite_key_is_found_by_its_tuple_alone() -> Result<(), Box<dyn std::error::Error>> {
    let admin = MemoryStore::new();
    charge(&admin, "bob@x.org", 2, false).await?;
    let key = Key::of(&("bob@x.org", 2)).ok_or("the key is missing or too long")?;
    println!("{key}");
    let found = admin.get("shop/orders/charge", &key).await?;
    assert!(found.is_some());
    assert_eq!(key.to_string(), "bob@x.org/2");
    assert!(admin.get(SCOPE, &Key::of("bob@x.org/2").unwrap()).await?.is_none());
    Ok(())
}
