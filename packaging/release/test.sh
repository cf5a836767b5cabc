#!/usr/bin/env bash
# The release's scripts, tried with the program given: packaging/release/test.sh target/debug/sigilum-authz-notify
set -euo pipefail
program=$(cd "$(dirname "${1:?the program}")" && pwd -P)/$(basename "$1")
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "packaging/release/test.sh: $1" >&2; exit 1; }

# The notes of the newest version that CHANGELOG.md has, in a copy whose files are of that version.
version=$(sed -n 's/^## \[\([0-9][0-9.]*\)\] - .*/\1/p' CHANGELOG.md | head -1)
cp -R CHANGELOG.md Cargo.toml hooks "$work"
mkdir -p "$work/packaging/release"
cp packaging/release/notes.sh "$work/packaging/release"
own=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
for file in "$work"/Cargo.toml "$work"/hooks/package.json "$work"/hooks/*/*.json; do
  sed "s/\"$own\"/\"$version\"/" "$file" >"$work/new" && cp "$work/new" "$file"
done
notes() { bash "$work/packaging/release/notes.sh" "$1"; }
notes "v$version" >"$work/notes" || fail "no notes of $version"
grep -q '^### ' "$work/notes" || fail "the notes of $version have no part"
if grep -q '^## ' "$work/notes"; then fail "the notes of $version are those of others too"; fi
for wrong in "$version" v9.9.9 vUnreleased; do
  if notes "$wrong" >/dev/null 2>&1; then fail "the tag $wrong is taken"; fi
done
sed "s/\"$version\"/\"9.9.9\"/" "$work/hooks/plugin/package.json" >"$work/new"
cp "$work/new" "$work/hooks/plugin/package.json"
if notes "v$version" >/dev/null 2>&1; then fail "a plugin of another version is taken"; fi

archive=$(packaging/release/archive.sh here "$program" "$work/out")
tar -tzf "$archive" >"$work/list"
pages=(man/sigilum-authz-notify{,-auth,-service-secret-set}.1 completions/sigilum-authz-notify.{bash,zsh,fish})
for file in sigilum-authz-notify LICENSE README.md CHANGELOG.md "${pages[@]}"; do
  grep -q "/$file\$" "$work/list" || fail "the archive lacks $file"
done
mkdir "$work/unpacked"
tar -xzf "$archive" -C "$work/unpacked" --strip-components 1
[ "$("$work/unpacked/sigilum-authz-notify" --version)" = "$("$program" --version)" ] || fail "another program is in the archive"
[ "$(find "$work/unpacked/man" -name '*.1' | wc -l)" -eq $(($("$program" man --list | wc -l) + 1)) ] || fail "not a page for each command"
for page in "$work"/unpacked/man/*; do
  grep -q "^\.TH $(basename "$page" .1) 1" "$page" || fail "$(basename "$page") is another page, or none"
done
# Of another platform the pages are printed by a program that runs here.
foreign=$work/foreign/sigilum-authz-notify
mkdir "$work/foreign"
echo "not for this machine" >"$foreign"
other=$(packaging/release/archive.sh there "$foreign" "$work/out" "$program")
diff <(tar -tzf "$other" | sed 's/-there//' | sort) <(sed 's/-here//' "$work/list" | sort) || fail "another platform's archive holds other files"

# What is published, in which order: a stand-in for npm notes it. All four archives hold the program given.
mkdir "$work/bin" "$work/all"
npm=$(command -v npm)
cat >"$work/bin/npm" <<STAND_IN
#!/bin/sh
[ "\$1" = publish ] || exec "$npm" "\$@"
basename "\$2" >>"$work/published"
STAND_IN
chmod +x "$work/bin/npm"
if PATH=$work/bin:$PATH packaging/release/publish-npm.sh "$work/all" 2>/dev/null; then fail "no archives are enough"; fi
for platform in linux-x64 linux-arm64 darwin-x64 darwin-arm64; do
  packaging/release/archive.sh "$platform" "$program" "$work/all" >/dev/null
done
PATH=$work/bin:$PATH packaging/release/publish-npm.sh "$work/all"
wanted=$(printf "sigilum-authz-notify-%s$own.tgz\n" linux-x64- linux-arm64- darwin-x64- darwin-arm64- "")
[ "$(cat "$work/published")" = "$wanted" ] || fail "published is: $(tr '\n' ' ' <"$work/published")"
