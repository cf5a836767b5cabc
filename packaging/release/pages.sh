#!/usr/bin/env bash
# The manual pages and completions of the program, into FOLDER/man and FOLDER/completions:
#   packaging/release/pages.sh FOLDER PROGRAM
set -euo pipefail
folder=${1:?a folder} program=${2:?the program}
name=sigilum-authz-notify
mkdir -p "$folder/man" "$folder/completions"
"$program" man >"$folder/man/$name.1"
"$program" man --list | while read -ra words; do
  page=$(IFS=-; echo "$name-${words[*]}.1")
  "$program" man "${words[@]}" </dev/null >"$folder/man/$page"
done
for shell in bash zsh fish; do
  "$program" completions "$shell" >"$folder/completions/$name.$shell"
done
