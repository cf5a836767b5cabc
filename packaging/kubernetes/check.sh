#!/usr/bin/env bash
# Holds the manifests against Kubernetes' own schemas, the oldest and the newest version that they are for. The
# validator is installed into a folder beside this script that git ignores.
set -euo pipefail
cd "$(dirname "$0")"

venv=.venv version=1.37.0
if ! "$venv/bin/pip" list 2>/dev/null | grep -q "^kubernetes-validate *$version$"; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --disable-pip-version-check "kubernetes-validate==$version"
fi
for kubernetes in 1.29 1.37; do
  "$venv/bin/kubernetes-validate" --strict --kubernetes-version "$kubernetes" ./*.yaml
done
