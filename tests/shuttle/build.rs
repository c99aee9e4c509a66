//! Of this package alone: a flag for the whole build would build every dependency once more.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-cfg=idem_shuttle");
}
