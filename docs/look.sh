#!/usr/bin/env bash
# Takes a picture of each page of the built book, light and dark, as a phone and a desk show it, into target/look, and fails
# where a page scrolls sideways. By hand, behind `.ci/book`; on Debian: apt-get install nodejs npm chromium
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p target/look
npm install --silent --no-audit --no-fund --prefix target/look playwright-core@1.65.1
cp docs/look.mjs target/look/look.mjs
CHROMIUM="${CHROMIUM:-$(command -v chromium)}" node target/look/look.mjs target/book target/look
