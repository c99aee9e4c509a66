//! Watches the statements that a connection of rusqlite executes, through SQLite's own function: rusqlite's has another
//! signature in almost every version.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};

use rusqlite::{Connection, ffi};

/// From now on, calls `watcher` with the text of each statement that begins on this connection.
pub fn watch(connection: &Connection, watcher: fn(&str)) {
    let code = unsafe {
        ffi::sqlite3_trace_v2(
            connection.handle(),
            ffi::SQLITE_TRACE_STMT as c_uint,
            Some(begins),
            watcher as *mut c_void,
        )
    };
    assert_eq!(code, ffi::SQLITE_OK, "a watcher of statements");
}

unsafe extern "C" fn begins(_: c_uint, watcher: *mut c_void, _: *mut c_void, text: *mut c_void) -> c_int {
    unsafe {
        let watcher = std::mem::transmute::<*mut c_void, fn(&str)>(watcher);
        watcher(&CStr::from_ptr(text.cast::<c_char>()).to_string_lossy());
    }
    0
}
