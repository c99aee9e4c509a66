//! The statuses of HTTP and gRPC that stand for an error.

use super::Error;

impl Error {
    /// The status of a response over HTTP, for the body [`public`](Self::public).
    ///
    /// It tells a client whether to try again: 409, for `InProgress`, and 503 pass by themselves. The delay is in
    /// [`retry_after`](Self::retry_after).
    ///
    /// ```
    /// use idem_runtime::{Error, MemoryStore, idempotent};
    ///
    /// #[idempotent(key = "order_id", scope = "shop::charge", store = store)]
    /// async fn charge(store: &MemoryStore, order_id: Option<&str>) -> Result<u64, Error> {
    ///     Ok(500)
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let error = charge(&MemoryStore::new(), None).await.unwrap_err();
    /// assert_eq!((error.http_status(), error.grpc_code()), (400, 3));
    /// # }
    /// ```
    pub fn http_status(&self) -> u16 {
        self.statuses().0
    }

    /// The [status code of gRPC](https://grpc.io/docs/guides/status-codes/), for the message [`public`](Self::public).
    ///
    /// `ABORTED` (10), for `InProgress`, and `UNAVAILABLE` (14) tell a client to try again.
    pub fn grpc_code(&self) -> i32 {
        self.statuses().1
    }

    fn statuses(&self) -> (u16, i32) {
        match self {
            Self::MissingKey { .. } | Self::KeyTooLong { .. } | Self::FingerprintUnavailable { .. } => (400, 3),
            Self::KeyReused { .. } => (422, 3),
            Self::InProgress { .. } => (409, 10),
            Self::OutcomeUnknown { .. } | Self::ResultUnavailable { .. } => (409, 9),
            Self::Store { .. } | Self::Conflict { .. } | Self::LeaseLost { executed: false, .. } => (503, 14),
            Self::LeaseLost { executed: true, .. } | Self::NotRecorded { .. } | Self::TransactionLost { .. } => {
                (500, 2)
            }
            Self::Decode { .. }
            | Self::NoStore { .. }
            | Self::ScopeTaken { .. }
            | Self::WouldBlock { .. }
            | Self::NotInTransaction { .. }
            | Self::Config { .. } => (500, 13),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::super::short::tests::all;
    use crate::Error;

    /// A line of the book's table: what it says of errors, and their statuses.
    struct Line {
        errors: String,
        statuses: (u16, i32),
    }

    /// The book's table of statuses.
    fn table() -> Vec<Line> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/src/frameworks.md");
        let page = std::fs::read_to_string(path).expect("the book's page");
        let lines = page.lines().skip_while(|line| *line != "| | HTTP | gRPC |").skip(2);
        let lines = lines.take_while(|line| line.starts_with('|')).map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [errors, http, grpc] = cells[..] else { panic!("{line}") };
            let grpc = grpc.split_once(' ').expect("a number and its name").0;
            Line { errors: errors.to_owned(), statuses: (http.parse().expect(line), grpc.parse().expect(line)) }
        });
        lines.collect()
    }

    /// What the table calls this error.
    fn called(error: &Error) -> String {
        let debug = format!("{error:?}");
        let name = debug.split(' ').next().unwrap_or_default();
        match error {
            Error::LeaseLost { executed: true, .. } => format!("`{name}` behind it"),
            Error::LeaseLost { executed: false, .. } => format!("`{name}` before the body"),
            _ => format!("`{name}`"),
        }
    }

    #[test]
    fn each_error_has_the_statuses_of_the_books_table() {
        let table = table();
        let mut known = BTreeSet::new();
        for error in all() {
            let called = called(&error);
            let found: Vec<&Line> = table.iter().filter(|line| line.errors.contains(&called)).collect();
            let [line] = found[..] else { panic!("{called} stands in {} lines", found.len()) };
            assert_eq!(line.statuses, (error.http_status(), error.grpc_code()), "{called}");
            known.insert(called.split('`').nth(1).unwrap_or_default().to_owned());
        }
        let named = table.iter().flat_map(|line| line.errors.split('`').skip(1).step_by(2));
        assert_eq!(known, named.map(str::to_owned).collect());
    }
}
