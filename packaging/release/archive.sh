#!/usr/bin/env bash
# The archive of one platform: the program, its manual pages and completions.
#   packaging/release/archive.sh linux-x64 target/…/dist/sigilum-authz-notify OUT [PROGRAM]
# The last one is the same program for this machine, where the first one does not run here: it prints the pages.
# Prints the archive's path.
set -euo pipefail
platform=${1:?a platform, such as linux-x64} program=${2:?the program} out=${3:?a folder}
name=sigilum-authz-notify
mkdir -p "$out"
out=$(cd "$out" && pwd -P)
program=$(cd "$(dirname "$program")" && pwd -P)/$(basename "$program")
here=${4:-$program}
here=$(cd "$(dirname "$here")" && pwd -P)/$(basename "$here")
cd "$(dirname "$0")/../.."

version=$("$here" --version | awk '{ print $2; exit }')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
folder=$work/$name-$version-$platform
mkdir "$folder"
install -m 755 "$program" "$folder/$name"
install -m 644 LICENSE README.md CHANGELOG.md "$folder"
packaging/release/pages.sh "$folder" "$here"
tar -C "$work" -czf "$out/$name-$version-$platform.tar.gz" "$name-$version-$platform"
echo "$out/$name-$version-$platform.tar.gz"
