//! Builds the examples' programs, so that tests run them as a user does.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

/// How the names of cargo's variables begin that say which package is built.
const PACKAGE: [&str; 2] = ["CARGO_MANIFEST_", "CARGO_PKG_"];

/// The root of the repository.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The path of an example's program. It is built at the first call, with the profile and the target folder of this test, and with
/// the features of `tests/run`: what it depends on is built there already. With `IDEM_EXAMPLES_ARE_BUILT`, which `tests/run` sets,
/// nothing is built.
///
/// # Panics
///
/// If it can't be built.
pub fn example(name: &'static str) -> PathBuf {
    static BUILT: LazyLock<Mutex<HashMap<&str, PathBuf>>> = LazyLock::new(Mutex::default);
    BUILT.lock().unwrap().entry(name).or_insert_with(|| build(name)).clone()
}

fn build(name: &str) -> PathBuf {
    // target/debug/deps/payments-0123 -> target/debug
    let this = std::env::current_exe().unwrap();
    let folder = this.ancestors().nth(2).unwrap();
    let path = folder.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if std::env::var_os("IDEM_EXAMPLES_ARE_BUILT").is_some() {
        return path;
    }
    let profile = match folder.file_name().unwrap().to_str().unwrap() {
        "debug" => "dev",
        other => other,
    };
    let mut cargo = Command::new(env!("CARGO"));
    // cargo tells a test of its own package. ring's build script reads the same variables: it would run again, and all that depends
    // on ring would be built again.
    let of_this_package =
        |name: &OsString| name.to_str().is_some_and(|name| PACKAGE.iter().any(|start| name.starts_with(start)));
    for name in std::env::vars_os().map(|(name, _)| name).filter(of_this_package) {
        cargo.env_remove(name);
    }
    let built = cargo
        .args(["build", "--quiet", "--workspace", "--all-features", "--example", name])
        .args(["--profile", profile, "--target-dir"])
        .arg(folder.parent().unwrap())
        .current_dir(workspace())
        .status()
        .unwrap();
    assert!(built.success());
    path
}
