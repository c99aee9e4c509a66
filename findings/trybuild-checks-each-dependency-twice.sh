#!/usr/bin/env bash
# trybuild: from 1.0.115 on, each dependency of the cases is checked twice. What the cases depend on is built first, and then the cases
# are, with one flag more for the compiler, `--diagnostic-width=140`. For cargo, other flags are another build of every dependency.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

mkdir -p "$work/crate/src" "$work/crate/tests/fail"
touch "$work/crate/src/lib.rs"
echo 'fn main() { itoa::absent() }' >"$work/crate/tests/fail/case.rs"
printf '#[test]\nfn fails() {\n    trybuild::TestCases::new().compile_fail("tests/fail/*.rs");\n}\n' >"$work/crate/tests/ui.rs"
# Notes what trybuild has the compiler do.
printf '#!/bin/sh\ncase "$*" in *"--crate-name itoa "*"--cfg trybuild "*) echo itoa >>"%s/checked" ;; esac\nexec "$@"\n' "$work" >"$work/wrapper"
chmod +x "$work/wrapper"

# How often the one dependency is checked for one case.
times() {
    printf '[package]\nname = "crate"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n[dependencies]\nitoa = "=1.0.18"\n[dev-dependencies]\ntrybuild = "=%s"\n' "$1" >"$work/crate/Cargo.toml"
    rm -rf "$work/crate/Cargo.lock" "$work/checked" "${FINDINGS_TARGET:-$work/target}/tests/trybuild/crate" "${FINDINGS_TARGET:-$work/target}"/tests/trybuild/*/debug
    # The case has no file of what it is refused with, which fails the test. It has been compiled then.
    RUSTC_WRAPPER="$work/wrapper" CARGO_TARGET_DIR="${FINDINGS_TARGET:-$work/target}" \
        cargo test --quiet --manifest-path "$work/crate/Cargo.toml" --test ui >"$work/said" 2>&1 || true
    wc -l <"$work/checked"
}
out="1.0.114: $(times 1.0.114), 1.0.122: $(times 1.0.122)"
said "trybuild, how often a dependency is checked: $out"
expect "$out" "1.0.114: 1, 1.0.122: 2"
