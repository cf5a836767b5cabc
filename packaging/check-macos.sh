#!/usr/bin/env bash
# Clippy for both Macs, on any machine: whether it compiles there is known, whether it runs is not.
# Needs what packaging/build-static.sh needs, BUILD_STD likewise.
set -euo pipefail
cd "$(dirname "$0")/.."
words=()
[ -z "${BUILD_STD:-}" ] || words+=(-Zbuild-std=std,panic_abort)
for target in aarch64-apple-darwin x86_64-apple-darwin; do
  cargo-zigbuild clippy --locked --lib --bins --target "$target" "${words[@]}" -- -D warnings
  echo "macOS: $target compiles, without a warning of clippy"
done
