#!/usr/bin/env bash
# Install Debian packages where one of some commands is missing, as root or with a sudo that asks no password.
#
#     ensure.sh "COMMAND ..." PACKAGE ...
set -euo pipefail

commands=$1
shift
missing=()
for command in $commands; do command -v "$command" > /dev/null || missing+=("$command"); done
if [ ${#missing[@]} = 0 ]; then exit 0; fi

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }

{ as_root apt-get -qq update &&
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o DPkg::Lock::Timeout=300 -qq install -y --no-install-recommends "$@"; } > /dev/null 2>&1 ||
    { echo "ensure.sh: expected ${missing[*]}, found none: install the packages $*" >&2; exit 1; }
