#!/usr/bin/env bash
# What CHANGELOG.md says of a release, for its page: packaging/release/notes.sh v0.2.0
# Fails unless the tag is the version of both crates, of what OpenClaw loads, of what is told to be installed, and of a part
# of CHANGELOG.md.
set -euo pipefail
tag=${1:?a tag, such as v0.2.0}
cd "$(dirname "$0")/../.."

version=${tag#v}
wrong() { echo "notes.sh: $tag, but $1" >&2; exit 1; }
[ "$tag" = "v$version" ] || wrong "a release's tag is v and the version"
own=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
[ "$own" = "$version" ] || wrong "Cargo.toml is of version $own"
# Both crates are of one version: one that stayed behind would not be published, and the other built with what is there.
grep -q "^version = \"$version\"" crates/json5-edit/Cargo.toml || wrong "crates/json5-edit is of another version"
for file in hooks/package.json hooks/*/package.json hooks/*/openclaw.plugin.json; do
  grep -q "\"version\": \"$version\"" "$file" || wrong "$file is of another version"
done

for file in README.md packaging/kubernetes/sidecar.yaml packaging/kubernetes/cronjob.yaml; do
  if grep -oE 'sigilum-authz-notify[-:]([a-z0-9-]*-)?[0-9]+\.[0-9]+\.[0-9]+' "$file" | grep -v "[-:]${version//./\\.}$" >&2; then
    wrong "$file names a file or an image of another version"
  fi
done

notes=$(awk -v head="## [$version] - " '
  index($0, "## ") == 1 { inside = index($0, head) == 1; next }
  inside' CHANGELOG.md)
[ -n "${notes//[[:space:]]/}" ] || wrong "CHANGELOG.md has no part \"## [$version] - <date>\""
printf '%s\n' "$notes" | sed -e '1{/^$/d;}'
