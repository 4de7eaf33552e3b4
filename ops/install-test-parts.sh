#!/usr/bin/env bash
# Installs the programs that some tests need beside Python's own packages: a browser, Redis,
# PgBouncer, faketime. Does nothing where they are there. Installs by apt-get, as root, or through
# sudo where CI=true (nobody's own machine); elsewhere it says what is missing and fails, and the
# tests that need it are skipped with that reason (tests/parts.py), which in CI fails.
set -euo pipefail
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# The program, or one of several that will do, and the package of Debian and Ubuntu that has it.
parts=(
  "chromium|chromium-browser|google-chrome-stable|google-chrome chromium"
  "redis-server redis-server"
  "pgbouncer pgbouncer"
  "faketime faketime"
)

missing() { # the packages whose program is not there
  local part program programs
  for part in "${parts[@]}"; do
    IFS='|' read -ra programs <<<"${part% *}"
    for program in "${programs[@]}"; do
      command -v "$program" >/dev/null && continue 2
    done
    printf '%s\n' "${part##* }"
  done
}

wanted=$(missing)
[ -z "$wanted" ] && exit 0

root=()
if [ "$(id -u)" -ne 0 ]; then
  root=(sudo -n)
fi
may_install() {
  command -v apt-get >/dev/null || return 1
  [ ${#root[@]} -eq 0 ] && return 0
  [ "${CI:-}" = true ] && sudo -n true 2>/dev/null
}

apt() { # quiet, unless it fails
  local said
  said=$("${root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get -qq -o DPkg::Lock::Timeout=60 -o Acquire::http::Timeout=20 "$@" 2>&1 </dev/null) || {
    printf '%s\n' "$said" >&2
    return 1
  }
}

install() {
  # shellcheck disable=SC2086 # a word a package
  apt update && apt install --yes --no-install-recommends $wanted
}

if may_install; then
  printf 'Installing for the tests: %s\n' "$(paste -sd ' ' <<<"$wanted")"
  install || { sleep 3; install; } || true
fi

left=$(missing)
[ -z "$left" ] && exit 0
printf 'Not on this machine: %s. Tests that need them are skipped; as root, `make parts` installs them.\n' \
  "$(paste -sd ' ' <<<"$left")" >&2
exit 1
