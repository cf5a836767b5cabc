#!/usr/bin/env bash
# The archive of one platform: the program, its manual page and completions. Run it where the program runs.
#   packaging/release/archive.sh linux-x64 target/…/release/sigilum-authz-notify OUT
# Prints the archive's path.
set -euo pipefail
platform=${1:?a platform, such as linux-x64} program=${2:?the program} out=${3:?a folder}
name=sigilum-authz-notify
mkdir -p "$out"
out=$(cd "$out" && pwd -P)
program=$(cd "$(dirname "$program")" && pwd -P)/$(basename "$program")
cd "$(dirname "$0")/../.."

version=$("$program" --version | awk '{ print $2; exit }')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
folder=$work/$name-$version-$platform
mkdir -p "$folder/completions"
install -m 755 "$program" "$folder/$name"
install -m 644 LICENSE README.md CHANGELOG.md "$folder"
"$program" man >"$folder/$name.1"
for shell in bash zsh fish; do
  "$program" completions "$shell" >"$folder/completions/$name.$shell"
done
tar -C "$work" -czf "$out/$name-$version-$platform.tar.gz" "$name-$version-$platform"
echo "$out/$name-$version-$platform.tar.gz"
