//! Claims and completions on a file: they persist, keys stay apart, and rows follow the protocol.

use idem_runtime::IdempotencyStore;
use idem_runtime::store::{ClaimAnswer, CompleteRequest, Key, Record, RenewRequest, Standing};
use idem_tests::operations::follow_the_protocol;
use idem_tests::steps::{DAY, acquire, execute, key, record, replay, request};

use super::{directory, file, open};

#[tokio::test]
async fn completions_persist() {
    let directory = directory();
    let path = file(&directory);
    let large = Record::from_bytes(&vec![7; 300_000]);
    let first = open(&path).await;
    let before = execute(&first, "charge", &key("order-1"), &record("paid")).await;
    execute(&first, "charge", &key("order-2"), &large).await;
    execute(&first, "charge", &key("order-3"), &record("")).await;
    drop(first);

    let again = open(&path).await;
    assert_eq!(replay(&again, "charge", &key("order-1")).await, record("paid"));
    assert_eq!(replay(&again, "charge", &key("order-2")).await, large);
    assert_eq!(replay(&again, "charge", &key("order-3")).await, record(""));
    let admin = again.admin().unwrap();
    admin.forget("charge", &key("order-1")).await.unwrap();
    let after = acquire(&again, request("charge", &key("order-1"))).await;
    assert!(after.fence > before.fence + 1, "r08: fences grow over a reopening and a forgetting");
}

#[tokio::test]
async fn keys_are_binary_safe_and_case_sensitive() {
    let directory = directory();
    let store = open(&file(&directory)).await;
    let keys: [&[u8]; 8] =
        [b"a1", b"A1", b"a1 ", b"a1\0", b"a1\0x", &[0xff, 0xfe], "ä".as_bytes(), "a\u{308}".as_bytes()];
    let scopes = ["s", "S", "s\0", "s ", ""];
    for scope in scopes {
        for (nth, bytes) in keys.iter().enumerate() {
            let result = record(&format!("{scope} {nth}"));
            execute(&store, scope, &Key::from_bytes(bytes).unwrap(), &result).await;
        }
    }
    for scope in scopes {
        for (nth, bytes) in keys.iter().enumerate() {
            let result = record(&format!("{scope} {nth}"));
            assert_eq!(replay(&store, scope, &Key::from_bytes(bytes).unwrap()).await, result);
        }
    }
    let longest = Key::from_bytes(&[b'k'; Key::MAX_LEN]).unwrap();
    execute(&store, "s", &longest, &record("long")).await;
    assert_eq!(replay(&store, "s", &longest).await, record("long"));
}

#[tokio::test]
async fn two_stores_on_one_file_see_each_other() {
    let directory = directory();
    let (one, two) = (open(&file(&directory)).await, open(&file(&directory)).await);
    let key = key("k");
    let claim = request("s", &key);
    let grant = acquire(&one, claim).await;
    assert!(matches!(two.claim(request("s", &key)).await.unwrap(), ClaimAnswer::InProgress { .. }));
    // The other handle accepts the renewal and the completion of this claim.
    assert_eq!(two.renew(RenewRequest::new(&claim, grant.fence)).await.unwrap(), Standing::Held);
    let result = record("r");
    let complete = CompleteRequest::new(&claim, grant.fence, &result, DAY);
    assert_eq!(two.complete(complete).await.unwrap(), Standing::Held);
    assert_eq!(replay(&one, "s", &key).await, result);
}

#[tokio::test]
async fn rows_are_what_the_protocol_says() {
    let directory = directory();
    let store = open(&file(&directory)).await;
    follow_the_protocol(&store, async |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r02_of_many_racers_one_wins() {
    let directory = directory();
    let stores = [open(&file(&directory)).await, open(&file(&directory)).await];
    for round in 0..20 {
        let key = key(format!("k{round}"));
        let racers: Vec<_> = (0..32)
            .map(|nth| {
                let (store, key) = (stores[nth % 2].clone(), key.clone());
                tokio::spawn(async move { store.claim(request("s", &key)).await.unwrap() })
            })
            .collect();
        let mut winners = 0;
        for racer in racers {
            winners += usize::from(matches!(racer.await.unwrap(), ClaimAnswer::Acquired(_)));
        }
        assert_eq!(winners, 1);
    }
}
