//! An SQLite VFS that logs each write, sync and deletion of the files of a directory, in order. Tests count syncs with it, and find
//! out what a disk could hold if the power failed at some point.
//!
//! It passes everything on to the system's own VFS. Once installed it is the default, so stores open their files through it.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use rusqlite::ffi;

/// One entry of the log: what was done to a file, or a mark that the test left.
#[derive(Clone, Debug)]
pub enum Event {
    /// Bytes were written.
    Write {
        /// The file.
        file: Arc<str>,
        /// The position of the first byte.
        offset: u64,
        /// The bytes.
        data: Box<[u8]>,
    },
    /// The file was cut to this length.
    Truncate {
        /// The file.
        file: Arc<str>,
        /// Its new length.
        length: u64,
    },
    /// What was written to the file before is on the disk.
    Sync {
        /// The file.
        file: Arc<str>,
    },
    /// The file was deleted.
    Delete {
        /// The file.
        file: Arc<str>,
        /// Whether the deletion was synced. If not, the file can be there again after a power loss.
        synced: bool,
    },
    /// [`mark`] was called.
    Mark(u64),
}

#[derive(Debug, Default)]
struct Log {
    watched: Vec<String>,
    events: Vec<Event>,
    slowed: Vec<(String, Duration)>,
    threads: Vec<(Arc<str>, ThreadId)>,
}

impl Log {
    fn touch(&mut self, file: &Arc<str>) {
        let touched = (Arc::clone(file), std::thread::current().id());
        if !self.threads.contains(&touched) {
            self.threads.push(touched);
        }
    }
}

static LOG: Mutex<Log> =
    Mutex::new(Log { watched: Vec::new(), events: Vec::new(), slowed: Vec::new(), threads: Vec::new() });

fn log() -> MutexGuard<'static, Log> {
    LOG.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on, logs what is done to the files whose path starts with `path`. Files that are open already are not logged.
pub fn watch(path: &Path) {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(install);
    log().watched.push(path.to_str().expect("a readable path").to_owned());
}

/// From now on, each sync of a watched file whose path starts with `path` takes this much longer.
pub fn slow_syncs(path: &Path, by: Duration) {
    log().slowed.push((path.to_str().expect("a readable path").to_owned(), by));
}

/// Leaves a mark in the log.
pub fn mark(mark: u64) {
    log().events.push(Event::Mark(mark));
}

/// The log so far.
pub fn events() -> Vec<Event> {
    log().events.clone()
}

/// Whether this thread opened, read, wrote or synced a watched file whose path starts with `path`.
pub fn touched_by_this_thread(path: &Path) -> bool {
    let path = path.to_str().expect("a readable path");
    let this = std::thread::current().id();
    log().threads.iter().any(|(file, thread)| file.starts_with(path) && *thread == this)
}

/// How often the files whose path starts with `path` were synced so far.
pub fn syncs(path: &Path) -> usize {
    let path = path.to_str().expect("a readable path");
    let is_sync = |event: &&Event| matches!(event, Event::Sync { file } if file.starts_with(path));
    log().events.iter().filter(is_sync).count()
}

/// How many bytes were written so far to the files whose path starts with `path`.
pub fn written(path: &Path) -> usize {
    let path = path.to_str().expect("a readable path");
    let length = |event: &Event| match event {
        Event::Write { file, data, .. } if file.starts_with(path) => data.len(),
        _ => 0,
    };
    log().events.iter().map(length).sum()
}

/// An open file. The system's own file structure follows it in the same allocation, which SQLite made.
#[repr(C)]
struct File {
    base: ffi::sqlite3_file,
    /// The path, if the file is watched. It is leaked into a pointer, because SQLite runs no destructors.
    watched: *mut Arc<str>,
}

impl File {
    unsafe fn real(file: *mut ffi::sqlite3_file) -> *mut ffi::sqlite3_file {
        unsafe { file.cast::<File>().add(1).cast() }
    }

    unsafe fn watched<'a>(file: *mut ffi::sqlite3_file) -> Option<&'a Arc<str>> {
        unsafe { (*file.cast::<File>()).watched.as_ref() }
    }
}

/// Calls a method of the real file.
macro_rules! real {
    ($file:expr, $method:ident $(, $argument:expr)*) => {{
        let real = File::real($file);
        match (*(*real).pMethods).$method {
            Some(method) => method(real $(, $argument)*),
            None => ffi::SQLITE_IOERR,
        }
    }};
}

/// Calls a method of the real file and, if that succeeds, logs it. A lock keeps the order of the log that of the calls.
unsafe fn noted(
    file: *mut ffi::sqlite3_file,
    event: impl FnOnce(Arc<str>) -> Event,
    call: impl FnOnce() -> c_int,
) -> c_int {
    let Some(path) = (unsafe { File::watched(file) }) else { return call() };
    let mut log = log();
    log.touch(path);
    let code = call();
    if code == ffi::SQLITE_OK {
        log.events.push(event(Arc::clone(path)));
    }
    code
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe {
        let watched = (*file.cast::<File>()).watched;
        if !watched.is_null() {
            drop(Box::from_raw(watched));
        }
        real!(file, xClose)
    }
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    buffer: *mut c_void,
    length: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    unsafe {
        if let Some(path) = File::watched(file) {
            log().touch(path);
        }
        real!(file, xRead, buffer, length, offset)
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    buffer: *const c_void,
    length: c_int,
    offset: ffi::sqlite3_int64,
) -> c_int {
    unsafe {
        let event = |file| Event::Write {
            file,
            offset: offset as u64,
            data: std::slice::from_raw_parts(buffer.cast::<u8>(), length as usize).into(),
        };
        noted(file, event, || real!(file, xWrite, buffer, length, offset))
    }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, length: ffi::sqlite3_int64) -> c_int {
    unsafe {
        let event = |file| Event::Truncate { file, length: length as u64 };
        noted(file, event, || real!(file, xTruncate, length))
    }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    unsafe {
        if let Some(path) = File::watched(file) {
            let by = log().slowed.iter().find(|(slowed, _)| path.starts_with(slowed.as_str())).map(|(_, by)| *by);
            std::thread::sleep(by.unwrap_or_default());
        }
        noted(file, |file| Event::Sync { file }, || real!(file, xSync, flags))
    }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut ffi::sqlite3_int64) -> c_int {
    unsafe { real!(file, xFileSize, size) }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe { real!(file, xLock, level) }
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    unsafe { real!(file, xUnlock, level) }
}

unsafe extern "C" fn check_reserved_lock(file: *mut ffi::sqlite3_file, held: *mut c_int) -> c_int {
    unsafe { real!(file, xCheckReservedLock, held) }
}

unsafe extern "C" fn file_control(file: *mut ffi::sqlite3_file, operation: c_int, argument: *mut c_void) -> c_int {
    unsafe { real!(file, xFileControl, operation, argument) }
}

unsafe extern "C" fn sector_size(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe { real!(file, xSectorSize) }
}

unsafe extern "C" fn device_characteristics(file: *mut ffi::sqlite3_file) -> c_int {
    unsafe { real!(file, xDeviceCharacteristics) }
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    mapped: *mut *mut c_void,
) -> c_int {
    unsafe { real!(file, xShmMap, page, size, extend, mapped) }
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    unsafe { real!(file, xShmLock, offset, count, flags) }
}

unsafe extern "C" fn shm_barrier(file: *mut ffi::sqlite3_file) {
    unsafe {
        let real = File::real(file);
        if let Some(barrier) = (*(*real).pMethods).xShmBarrier {
            barrier(real);
        }
    }
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    unsafe { real!(file, xShmUnmap, delete) }
}

/// Version 2 has shared memory, which WAL mode needs, and no memory-mapped writes, which could not be logged.
static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

/// The path, if it is watched.
unsafe fn watched(path: *const c_char) -> Option<Arc<str>> {
    if path.is_null() {
        return None;
    }
    let path = unsafe { CStr::from_ptr(path) }.to_str().ok()?;
    log().watched.iter().any(|watched| path.starts_with(watched.as_str())).then(|| path.into())
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    path: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    unsafe {
        (*file).pMethods = std::ptr::null();
        let real: *mut ffi::sqlite3_vfs = (*vfs).pAppData.cast();
        let Some(real_open) = (*real).xOpen else { return ffi::SQLITE_CANTOPEN };
        let code = real_open(real, path, File::real(file), flags, out_flags);
        if code == ffi::SQLITE_OK {
            let path = watched(path);
            if let Some(path) = &path {
                log().touch(path);
            }
            let path = path.map_or(std::ptr::null_mut(), |path| Box::into_raw(Box::new(path)));
            (*file.cast::<File>()).watched = path;
            (*file).pMethods = &raw const METHODS;
        }
        code
    }
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, path: *const c_char, sync_directory: c_int) -> c_int {
    unsafe {
        let real: *mut ffi::sqlite3_vfs = (*vfs).pAppData.cast();
        let Some(real_delete) = (*real).xDelete else { return ffi::SQLITE_IOERR };
        let watched = watched(path);
        let mut log = log();
        let code = real_delete(real, path, sync_directory);
        if let (ffi::SQLITE_OK, Some(file)) = (code, watched) {
            log.events.push(Event::Delete { file, synced: sync_directory != 0 });
        }
        code
    }
}

/// Installs the VFS in front of the system's. The methods that it doesn't override are the system's own; they don't use the struct
/// that they are called with.
fn install() {
    unsafe {
        let real = ffi::sqlite3_vfs_find(std::ptr::null());
        assert!(!real.is_null(), "SQLite has a default VFS");
        let mut vfs = *real;
        vfs.szOsFile += c_int::try_from(size_of::<File>()).expect("a small struct");
        vfs.zName = c"idem-recorder".as_ptr();
        vfs.pNext = std::ptr::null_mut();
        vfs.pAppData = real.cast();
        vfs.xOpen = Some(open);
        vfs.xDelete = Some(delete);
        // SQLite keeps the pointer for ever.
        let code = ffi::sqlite3_vfs_register(Box::leak(Box::new(vfs)), 1);
        assert_eq!(code, ffi::SQLITE_OK, "the VFS is registered");
    }
}
