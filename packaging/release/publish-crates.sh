#!/usr/bin/env bash
# Publishes both crates, each saying which repository it comes from: the one that this release is made in, as nobody knows
# another one (GITHUB_SERVER_URL and GITHUB_REPOSITORY, which a workflow has, and a person sets). It stands in the
# manifests only meanwhile.
#   packaging/release/publish-crates.sh            what the registry has in this version already is left
#   packaging/release/publish-crates.sh --dry-run  packs alone, without a look at any registry: target/package/*.crate
set -euo pipefail
cd "$(dirname "$0")/../.."
fail() { echo "publish-crates.sh: $1" >&2; exit 1; }

manifests=(crates/json5-edit/Cargo.toml Cargo.toml)
if [ "${1:-}" != --dry-run ] && [ -n "$(git status --porcelain 2>/dev/null)" ]; then
  fail "something is not committed, and would be published: git status"
fi
kept=$(mktemp -d)
restore() {
  for manifest in "${manifests[@]}"; do
    [ ! -e "$kept/$manifest" ] || cp "$kept/$manifest" "$manifest"
  done
  rm -rf "$kept"
}
trap restore EXIT
for manifest in "${manifests[@]}"; do
  if grep -q '^repository = ' "$manifest"; then continue; fi
  url=${GITHUB_SERVER_URL:?the address of the forge, such as https://github.com}/${GITHUB_REPOSITORY:?owner/name}
  mkdir -p "$kept/$(dirname "$manifest")"
  cp "$manifest" "$kept/$manifest"
  awk -v line="repository = \"$url\"" '{ print } /^license = / { print line }' "$kept/$manifest" >"$manifest"
done

if [ "${1:-}" = --dry-run ]; then
  cargo package --workspace --no-verify --allow-dirty --offline
  exit
fi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
missing=()
for crate in json5-edit sigilum-authz-notify; do
  if cargo info --registry crates-io "$crate@$version" >/dev/null 2>&1; then
    echo "publish-crates.sh: $crate $version is there already"
  else
    missing+=(-p "$crate")
  fi
done
# In the order of their dependency; cargo waits until the first is there. Dirty by the line above alone.
[ "${#missing[@]}" = 0 ] || cargo publish "${missing[@]}" --locked --allow-dirty
