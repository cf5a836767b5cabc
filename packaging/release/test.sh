#!/usr/bin/env bash
# The release's scripts, tried with the program given: packaging/release/test.sh target/debug/sigilum-authz-notify
set -euo pipefail
program=$(cd "$(dirname "${1:?the program}")" && pwd -P)/$(basename "$1")
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "packaging/release/test.sh: $1" >&2; exit 1; }

# The notes of the version that a tag would name now, and in a copy whose plugin is of another one none.
own=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
packaging/release/notes.sh "v$own" >"$work/notes" || fail "no notes of $own"
grep -q '^### ' "$work/notes" || fail "the notes of $own have no part"
if grep -q '^## ' "$work/notes"; then fail "the notes of $own are those of others too"; fi
for wrong in "$own" v9.9.9 vUnreleased; do
  if packaging/release/notes.sh "$wrong" >/dev/null 2>&1; then fail "the tag $wrong is taken"; fi
done
mkdir "$work/other"
cp -R CHANGELOG.md README.md Cargo.toml crates hooks packaging "$work/other"
for file in crates/json5-edit/Cargo.toml hooks/plugin/package.json README.md packaging/kubernetes/cronjob.yaml; do
  sed "s/$own/9.9.9/" "$file" >"$work/other/$file"
  if "$work/other/packaging/release/notes.sh" "v$own" >/dev/null 2>&1; then fail "$file of another version is taken"; fi
  cp "$file" "$work/other/$file"
done
"$work/other/packaging/release/notes.sh" "v$own" >/dev/null || fail "the copy has no notes"

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

# What is published, in which order: stand-ins for npm and cargo note it. Of the four archives this machine's holds
# the program given.
mkdir "$work/bin" "$work/all"
npm=$(command -v npm) cargo=$(command -v cargo)
cat >"$work/bin/npm" <<STAND_IN
#!/bin/sh
case \$1 in
  view) grep -qxF "\$2" "$work/there" ;;
  publish) basename "\$2" >>"$work/published" ;;
  *) exec "$npm" "\$@" ;;
esac
STAND_IN
cat >"$work/bin/cargo" <<STAND_IN
#!/bin/sh
case \$1 in
  info) grep -qxF "\$4" "$work/there" ;;
  publish) { echo "\$*" && grep -h "^repository = " crates/json5-edit/Cargo.toml Cargo.toml; } >>"$work/published" ;;
  *) exec "$cargo" "\$@" ;;
esac
STAND_IN
chmod +x "$work"/bin/*
published() { # what publishes, then what is to be published, a line each
  local what=$1
  shift
  rm -f "$work/published"
  (cd "$tree" && PATH=$work/bin:$PATH packaging/release/$what >/dev/null)
  diff <([ "$#" = 0 ] || printf '%s\n' "$@") <(cat "$work/published" 2>/dev/null || true) || fail "$what publishes something else"
}
tree=$PWD
: >"$work/there"
if PATH=$work/bin:$PATH packaging/release/publish-npm.sh "$work/all" 2>/dev/null; then fail "no archives are enough"; fi
own_platform=$(node -p '`${process.platform}-${process.arch}`')
for platform in linux-x64 linux-arm64 darwin-x64 darwin-arm64; do
  binary=$foreign
  [ "$platform" != "$own_platform" ] || binary=$program
  packaging/release/archive.sh "$platform" "$binary" "$work/all" "$program" >/dev/null
done
npm_files=()
for platform in linux-x64- linux-arm64- darwin-x64- darwin-arm64- ""; do npm_files+=("sigilum-authz-notify-$platform$own.tgz"); done
published "publish-npm.sh $work/all" "${npm_files[@]}"
# One more time, after it was broken off: what is there is left.
echo "sigilum-authz-notify-linux-x64@$own" >"$work/there"
published "publish-npm.sh $work/all" "${npm_files[@]:1}"

# The crates, in a copy: each package has what it needs and no more, and says where it comes from.
tree=$work/tree
for crate in . crates/json5-edit; do
  (cd "$crate" && cargo package --list --allow-dirty --offline 2>/dev/null) | while IFS= read -r file; do
    [ -f "$crate/$file" ] || continue
    mkdir -p "$tree/$crate/$(dirname "$file")"
    cp "$crate/$file" "$tree/$crate/$file"
  done
done
mkdir -p "$tree/packaging/release"
cp packaging/release/publish-crates.sh "$tree/packaging/release"
export GITHUB_SERVER_URL=https://git.example GITHUB_REPOSITORY=us/it CARGO_TARGET_DIR=$tree/target
(cd "$tree" && packaging/release/publish-crates.sh --dry-run 2>"$work/log") || fail "the crates do not pack: $(cat "$work/log")"
for manifest in Cargo.toml crates/json5-edit/Cargo.toml; do
  diff "$manifest" "$tree/$manifest" || fail "$manifest was left changed"
done
mkdir "$work/crates"
for crate in json5-edit sigilum-authz-notify; do
  tar -xzf "$tree/target/package/$crate-$own.crate" -C "$work/crates"
  package=$work/crates/$crate-$own
  grep -qxF 'repository = "https://git.example/us/it"' "$package/Cargo.toml" || fail "$crate does not say where it comes from"
  for file in README.md LICENSE src/lib.rs; do [ -s "$package/$file" ] || fail "$crate lacks $file"; done
  # What the sources take in from elsewhere.
  grep -rHo --include='*.rs' 'include_\(str\|bytes\)!("[^"]*")' "$package/src" | sed 's/:include_[a-z]*!("\(.*\)")$/ \1/' | while read -r source file; do
    [ -s "$(dirname "$source")/$file" ] || fail "$crate lacks ${source#"$package/"}'s $file"
  done
done
extra=$(cd "$work/crates/sigilum-authz-notify-$own" && find . -type f | sed 's|^\./||' |
  grep -vE '^(src|hooks|packaging/(launchd|systemd|sysusers))/|^(Cargo\.(toml|toml\.orig|lock)|build\.rs|LICENSE|README\.md|CHANGELOG\.md)$' || true)
[ -z "$extra" ] || fail "the crate has besides: $extra"
named='repository = "https://git.example/us/it"'
published publish-crates.sh "publish -p json5-edit -p sigilum-authz-notify --locked --allow-dirty" "$named" "$named"
echo "json5-edit@$own" >"$work/there"
published publish-crates.sh "publish -p sigilum-authz-notify --locked --allow-dirty" "$named" "$named"
echo "sigilum-authz-notify@$own" >>"$work/there"
published publish-crates.sh
unset GITHUB_REPOSITORY
if (cd "$tree" && packaging/release/publish-crates.sh --dry-run 2>/dev/null); then fail "crates that say no repository are taken"; fi
