use idem_runtime::run_once;

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn book(mut tx: sqlx::PgTransaction<'static>, id: u64) -> Result<(), Failure> {
    run_once!(tx = &mut tx, key = id, scope = "moves/async", async move {
        sqlx::query("SELECT 1").execute(&mut *tx).await?;
        Ok::<_, Failure>(())
    })
    .await?;
    tx.commit().await?;
    Ok(())
}

fn main() {}
