#!/bin/sh
# A stand-in for sigilum-gateway-cli: the same commands, output and traps, over a folder of plain files.
# $GATEWAY_DATA_DIR/badger/MANIFEST is there in a store; badger/IN-USE: a gateway runs; badger/KEY: the right master key.
# Each run leaves a line in $GATEWAY_DATA_DIR/runs: its arguments; then its environment's names.
set -eu
command=${1:-}
[ $# -gt 0 ] && shift
data=${GATEWAY_DATA_DIR:-/var/lib/sigilum-gateway} key=${GATEWAY_MASTER_KEY:-}
id= name= base= mode= header= prefix= secretkey= secret= pathprefix= days=0 status= transport=streamable_http endpoint=/
fail() { printf 'error: %s\n' "$1" >&2; exit 1; }
usage() {
  printf 'flag provided but not defined: %s\nUsage of %s:\n  -master-key string\n    \tGateway master key (default "%s")\n' "$1" "$command" "$key" >&2
  fail "flag provided but not defined: $1"
}
runs=$data/runs
[ -d "$data" ] && { printf '%s' "$command"; for word in "$@"; do printf ' [%s]' "$word"; done; printf '\n'; env | sed -n 's/^\([A-Za-z_]*\)=.*/env \1/p'; } >>"$runs"
while [ $# -gt 0 ]; do
  flag=$1
  [ $# -gt 1 ] || usage "$flag"
  value=$2
  shift 2
  case $flag in
    --data-dir) data=$value ;; --master-key) key=$value ;;
    --id) id=$value ;; --name) name=$value ;; --base-url) base=$value ;; --auth-mode) mode=$value ;;
    --auth-header-name) header=$value ;; --auth-prefix) prefix=$value ;; --auth-secret-key) secretkey=$value ;;
    --secret) secret=$value ;; --path-prefix) pathprefix=$value ;; --rotation-interval-days) days=$value ;;
    --status) status=$value ;; --mcp-transport) transport=$value ;; --mcp-endpoint) endpoint=$value ;;
    *) usage "$flag" ;;
  esac
done
[ -n "$key" ] || fail 'master key is required (set --master-key or GATEWAY_MASTER_KEY)'
store=$data/badger
# The real one makes an empty store in a folder that has none.
[ -d "$store" ] || { mkdir -p "$store"; : >"$store/MANIFEST"; }
[ ! -e "$store/IN-USE" ] || fail "open badger: Cannot acquire directory lock on \"$store\".  Another process is using this Badger database. error: resource temporarily unavailable"
quote() { printf '"%s"' "$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g')"; }
put() { printf '%s' "$3" >"$store/conn/$1/$2"; }
get() { cat "$store/conn/$1/$2" 2>/dev/null || true; }
show() {
  keys= comma=
  for file in "$store/conn/$1/secrets"/*; do
    [ -e "$file" ] || continue
    keys="$keys$comma$(quote "${file##*/}")"; comma=,
  done
  printf '{\n'
  for field in id name protocol base_url path_prefix auth_mode auth_header_name auth_prefix auth_secret_key status; do
    printf '  "%s": %s,\n' "$field" "$(quote "$(get "$1" "$field")")"
  done
  printf '  "credential_keys": [%s],\n  "mcp_tool_policy": {},\n  "created_at": "2026-11-22T10:00:00Z",\n' "$keys"
  printf '  "rotation_interval_days": %s,\n  "secret_version": %s\n}\n' "$(get "$1" days)" "$(get "$1" version)"
}
check() { [ -n "$id" ] || fail '--id is required'; [ -d "$store/conn/$id" ] || fail 'connection not found'; }
case $command in
  list)
    printf '{\n"connections": ['
    comma=
    for dir in "$store/conn"/*; do
      [ -d "$dir" ] || continue
      printf '%s' "$comma"; show "${dir##*/}"; comma=,
    done
    printf ']\n}\n' ;;
  get) check; show "$id" ;;
  add)
    [ -n "$base" ] || fail '--base-url is required'
    [ -n "$secretkey" ] || fail '--auth-secret-key is required for http connections'
    [ -n "$secret" ] || fail 'at least one --secret key=value is required for http connections'
    [ -z "$transport$endpoint" ] || fail 'mcp fields require protocol="mcp"'
    [ ! -d "$store/conn/$id" ] || fail 'connection already exists'
    [ "${secret%%=*}" = "$secretkey" ] || fail "auth_secret_key \"$secretkey\" is not present in secrets"
    mkdir -p "$store/conn/$id/secrets"
    put "$id" id "$id"; put "$id" name "${name:-$id}"; put "$id" protocol http; put "$id" base_url "${base%/}"
    put "$id" auth_mode "${mode:-bearer}"; put "$id" auth_header_name "${header:-Authorization}"; put "$id" auth_prefix "$prefix"
    put "$id" auth_secret_key "$secretkey"; put "$id" path_prefix "$pathprefix"; put "$id" days "$days"
    put "$id" status active; put "$id" version 1
    put "$id" "secrets/$secretkey" "${secret#*=}"
    show "$id" ;;
  update)
    check
    [ -z "$secretkey" ] || [ -e "$store/conn/$id/secrets/$secretkey" ] || fail "auth_secret_key \"$secretkey\" is not configured for connection"
    [ -z "$name" ] || put "$id" name "$name"
    [ -z "$mode" ] || put "$id" auth_mode "$mode"
    [ -z "$header" ] || put "$id" auth_header_name "$header"
    [ -z "$prefix" ] || put "$id" auth_prefix "$prefix"
    [ -z "$secretkey" ] || put "$id" auth_secret_key "$secretkey"
    [ -z "$pathprefix" ] || put "$id" path_prefix "$pathprefix"
    [ -z "$status" ] || put "$id" status "$status"
    [ "$days" = 0 ] || put "$id" days "$days"
    show "$id" ;;
  rotate)
    check
    [ "$key" = "$(cat "$store/KEY" 2>/dev/null || printf '%s' "$key")" ] || fail 'chacha20poly1305: message authentication failed'
    [ -n "$secret" ] || fail 'at least one --secret key=value is required'
    [ "$(get "$id" "secrets/${secret%%=*}")" != "${secret#*=}" ] || fail 'secrets are required'
    put "$id" "secrets/${secret%%=*}" "${secret#*=}"
    put "$id" version $(($(get "$id" version) + 1))
    show "$id" ;;
  delete) check; rm -r "$store/conn/$id"; printf '{\n  "deleted": true,\n  "id": %s\n}\n' "$(quote "$id")" ;;
  *) fail "unknown command \"$command\"" ;;
esac
