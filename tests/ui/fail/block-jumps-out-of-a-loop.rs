use idem_runtime::{Error, run_once};

async fn consume(ids: Vec<u64>) -> Result<(), Error> {
    'all: for id in ids {
        if id == 9 {
            break 'all;
        }
        run_once!(key = id, scope = "jumps/continue", async || -> Result<(), Error> {
            for known in 0..3 {
                if known == id {
                    continue;
                }
            }
            if id == 7 {
                continue;
            }
            Ok(())
        })
        .await?;
        run_once!(key = id, scope = "jumps/break", async || -> Result<(), Error> {
            loop {
                break 'all;
            }
        })
        .await?;
    }
    Ok(())
}

fn main() {}
