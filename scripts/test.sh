#!/usr/bin/env bash
# Runs the tests against real Postgres and Redis servers, which the tests start
# themselves. What is missing is installed first where apt-get is there and we
# may use it (as root or with sudo).
#
# Allow ten minutes for everything on two idle cores, and several times that on
# busy ones; the last line says how long it took. A package has 30 minutes. Of a program that panics or runs out of
# time the first lines are shown, and the rest is in the file named at the end.
#
#   ./scripts/test.sh                          everything
#   ./scripts/test.sh ./storage/... -run Claim arguments go to go test
set -euo pipefail
cd "$(dirname "$0")/.."

has() { command -v "$1" >/dev/null 2>&1; }

# The folders of FindPostgres (internal/localstack) that apt-get fills.
has_postgres() { has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
has_redis() { has valkey-server || has redis-server; }

# as_root runs a command as root, or fails without asking for a password.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install_missing() {
  local packages=()
  has_postgres || packages+=(postgresql)
  has_redis || packages+=(redis-server)
  has "$(go env CC)" || packages+=(gcc libc6-dev) # the race detector needs cgo
  [ ${#packages[@]} -gt 0 ] || return 0

  local update="apt-get update"
  local install="apt-get install -y --no-install-recommends ${packages[*]}"
  if ! has apt-get; then
    echo "Missing: ${packages[*]} (as Debian names them). Install them and try again; on macOS:"
    echo "  brew install postgresql@17 valkey"
    return 1
  fi
  if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
    echo "Missing: ${packages[*]}. Install them and try again:"
    echo "  sudo $update && sudo $install"
    return 1
  fi
  echo "installing: ${packages[*]}"
  # shellcheck disable=SC2086 # words on purpose
  as_root env DEBIAN_FRONTEND=noninteractive $update -qq
  # shellcheck disable=SC2086
  as_root env DEBIAN_FRONTEND=noninteractive $install -qq
}

has go || { echo "Missing: Go (the version in go.mod)." >&2; exit 1; }
install_missing >&2

packages=(./...)
for argument in "$@"; do
  case $argument in .*) packages=() ;; esac # packages were named
done

# shorten passes on what go test prints, but of a dump of goroutines only the
# first lines: they name the test and where it stands.
shorten() {
  awk -v most=60 '
    /^(panic:|fatal error:|SIGQUIT:)/ { if (!dump) { dump = 1; n = 0 } }
    /^(ok|FAIL|PASS|\?)([ \t]|$)/ || /^(=== |--- )/ {
      if (dump && n > most) printf "... %d more lines of goroutines\n", n - most
      dump = 0
    }
    dump { if (++n > most) next }
    { print; fflush() }'
}

output=$(mktemp "${TMPDIR:-/tmp}/firjob-test.XXXXXX")
began=$SECONDS
echo "+ go test -race -shuffle=on -count=1 -timeout=30m ${packages[*]} $*"
go test -race -shuffle=on -count=1 -timeout=30m "${packages[@]}" "$@" 2>&1 | tee "$output" | shorten && code=0 || code=$?
if [ "$code" = 0 ]; then
  rm "$output"
  echo "tests passed in $((SECONDS - began)) s"
else
  echo "tests FAILED after $((SECONDS - began)) s; all of their output is in $output"
fi
exit "$code"
