//! The tests of SQLite at the two ends of the range of rusqlite versions that the library takes.
