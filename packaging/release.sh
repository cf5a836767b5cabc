#!/usr/bin/env bash
# Everything that is shipped, into dist/: the binaries of both Linux platforms, tried; an archive of each with its SHA-256 sum;
# the npm packages.
#
#   packaging/release.sh                      builds what this machine can: Linux x64 and arm64
#   packaging/release.sh darwin-arm64=BINARY  with binaries that were built on a Mac, of any platform
#
# Needs what packaging/build-static.sh needs, binutils, Node with npm, and for the other processor its emulator (Debian:
# qemu-user-static); SKIP_EMULATED=1 leaves that try out. The npm packages want the binary of the machine that this runs on.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$PWD/dist
rm -rf "$out" && mkdir -p "$out"

declare -A cpu_of=([linux-x64]=x86_64 [linux-arm64]=aarch64)
binaries=("$@")
for platform in linux-x64 linux-arm64; do
  case " $* " in *" $platform="*) continue ;; esac
  built=$(packaging/build-static.sh "${cpu_of[$platform]}-unknown-linux-musl")
  if readelf -d "$built" | grep NEEDED; then echo "release: $built is not static" >&2; exit 1; fi
  if [ "${cpu_of[$platform]}" = "$(uname -m)" ]; then
    packaging/smoke.sh "$built"
  elif [ -z "${SKIP_EMULATED:-}" ]; then
    packaging/smoke.sh "$built" "qemu-${cpu_of[$platform]}-static"
  fi
  binaries+=("$platform=$built")
done

own= # runs here
for pair in "${binaries[@]}"; do [ "${cpu_of[${pair%%=*}]-}" != "$(uname -m)" ] || own=${pair#*=}; done
for pair in "${binaries[@]}"; do
  packaging/release/archive.sh "${pair%%=*}" "${pair#*=}" "$out" "$own" >/dev/null
done
(cd "$out" && sha256sum -- *.tar.gz >SHA256SUMS)
# Publish them in the order in which they are printed: the platforms' first.
node packaging/npm/build.mjs --out "$out/npm" "${binaries[@]}"
cat "$out/SHA256SUMS"
