#!/usr/bin/env bash
# Packs the npm packages from the archives of all platforms, and publishes them, those of the platforms first.
#   packaging/release/publish-npm.sh ARCHIVES [what `npm publish` gets besides, such as --dry-run]
set -euo pipefail
archives=$(cd "${1:?the folder with the archives}" && pwd -P)
shift
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

binaries=()
for platform in linux-x64 linux-arm64 darwin-x64 darwin-arm64; do
  archive=("$archives"/sigilum-authz-notify-*-"$platform".tar.gz)
  [ "${#archive[@]}" = 1 ] && [ -e "${archive[0]}" ] || { echo "publish-npm.sh: not one archive of $platform" >&2; exit 1; }
  mkdir "$work/$platform"
  tar -xzf "${archive[0]}" -C "$work/$platform" --strip-components 1
  binaries+=("$platform=$work/$platform/sigilum-authz-notify")
done
node packaging/npm/build.mjs --out "$work/packages" "${binaries[@]}" >"$work/list"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
while IFS= read -r package; do
  name=$(basename "$package" "-$version.tgz")
  # After a release that was broken off, or a first version that a person published.
  if npm view "$name@$version" version >/dev/null 2>&1; then
    echo "publish-npm.sh: $name $version is there already"
    continue
  fi
  npm publish "$package" --access public --provenance "$@"
done <"$work/list"
