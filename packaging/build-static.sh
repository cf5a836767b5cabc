#!/usr/bin/env bash
# Builds the program as it is shipped for Linux: static, on musl, so that one file serves glibc and Alpine.
#
#   packaging/build-static.sh x86_64-unknown-linux-musl | aarch64-unknown-linux-musl
#
# Needs cargo-zigbuild and zig (PyPI: cargo-zigbuild, ziglang), which compile the C of SQLite and ring, and the target's
# standard library (rustup target add). Where that is not to be had, BUILD_STD=1 has a nightly toolchain build it from its
# source. Prints the path of the binary.
set -euo pipefail
cd "$(dirname "$0")/.."

target=${1:?a target: x86_64-unknown-linux-musl or aarch64-unknown-linux-musl}
case $target in
  *-unknown-linux-musl) ;;
  *) echo "build-static: $target is not a musl target" >&2; exit 64 ;;
esac
words=()
if [ -n "${BUILD_STD:-}" ]; then
  words+=(-Zbuild-std=std,panic_unwind)
  export RUSTFLAGS="-C link-self-contained=no ${RUSTFLAGS:-}"
fi
cargo zigbuild --profile dist --locked --bin sigilum-authz-notify --target "$target" "${words[@]}" >&2
echo "${CARGO_TARGET_DIR:-target}/$target/dist/sigilum-authz-notify"
