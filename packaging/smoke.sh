#!/usr/bin/env bash
# Whether a binary that is to be shipped does its job, in a throw-away home:
#
#   packaging/smoke.sh BINARY           on this machine
#   packaging/smoke.sh BINARY QEMU      in an emulator of its processor (Debian: qemu-user-static, qemu-aarch64-static)
set -euo pipefail
binary=$(realpath "${1:?a binary}")
emulator=${2:+$(command -v "$2")}
root=$(cd "$(dirname "$0")/.." && pwd -P)
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
run() { env -i HOME="$home" TMPDIR="$home" PATH=/usr/bin:/bin ${emulator:+"$emulator"} "$binary" "$@"; }
fail() { echo "smoke: $binary: $*" >&2; exit 1; }

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -1)
run --version | grep -qF " $version" || fail "not of version $version: $(run --version)"

# The whole job: a login, two requests in the embedded database, the notice.
demo=$(run demo)
grep -q '^Sigilum: 2 ' <<<"$demo" || fail "demo: no notice of two requests"
state=$(sed -n 's/^1\. Log in to a throw-away OpenClaw home, //p' <<<"$demo")/.openclaw
token="$state/.sigilum/owner-token-demo.jwt"
[ "$(ls -l "$token" | cut -c1-10)" = -rw------- ] || fail "demo: the token's file is not 0600"

# Files, locks, SQLite, HTTP, signals.
here=(--openclaw-home "$state")
run hook install "${here[@]}" >/dev/null || fail "hook install"
grep -q '"enabled": true' "$state/openclaw.json" || fail "hook install: no entry that is on"
run hook run "${here[@]}" <<<'{"type":"command","action":"new","chatType":"direct"}' | grep -q 'Sigilum: 2 ' || fail "hook run"
run auth refresh --namespace demo --print-token false "${here[@]}" >/dev/null || fail "auth refresh"
run watch --once "${here[@]}" 2>/dev/null || fail "watch --once"
# Its input stays open until it has answered: a slow processor gets no answer out in the half second that is left at an end.
mkfifo "$home/in" "$home/out"
run serve --stdio --no-watch "${here[@]}" <"$home/in" >"$home/out" 2>/dev/null &
exec 3>"$home/in" 4<"$home/out"
echo '{"id":1,"type":"command","action":"new","chatType":"direct"}' >&3
read -r -t 60 answer <&4 && grep -q '"id":1.*Sigilum: 2 ' <<<"$answer" || fail "serve: $answer"
exec 3>&- 4<&-
wait $! || fail "serve: it did not end well"
run man >/dev/null && run completions bash >/dev/null || fail "man, completions"
run hook uninstall --purge "${here[@]}" >/dev/null || fail "hook uninstall"
[ ! -e "$state/.sigilum" ] || fail "hook uninstall --purge: something of ours is left"
# What is refused is refused with its exit code.
code=0
run auth show --namespace nobody "${here[@]}" >/dev/null 2>&1 || code=$?
[ "$code" -gt 0 ] && [ "$code" -lt 100 ] || fail "auth show of nobody: exit code $code"
echo "smoke: $(basename "$binary") $version is well ($(wc -c <"$binary" | tr -d ' ') bytes${emulator:+, in $(basename "$emulator")})"
