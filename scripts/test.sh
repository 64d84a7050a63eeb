#!/usr/bin/env bash
# Runs every test tier (CONTRIBUTING.md) and ends with one line that says how many tests ran.
# Everything is built by then: `make test` is the way to call this.
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
failed_tiers=0

tier() {
  printf '\n== %s\n' "$1"
  shift
  "$@" 2>&1 | tee -a "$log"
  local code=${PIPESTATUS[0]}
  if [ "$code" -ne 0 ]; then
    failed_tiers=$((failed_tiers + 1))
    printf 'this tier failed (exit code %d): %s\n' "$code" "$*"
  fi
}

lab=target/debug/lab
tier 'unit, golden, property; integration with the real services' \
  "$lab" services -- cargo test --workspace --features integration --locked --no-fail-fast
tier 'dashboard' npm --prefix web test
tier 'end to end in the lab' cargo test --workspace --features e2e --test first_light --locked -- --nocapture --test-threads 1
tier 'the lab on an existing cluster' sh -c 'cargo build --workspace --features e2e --example cluster --locked &&
  cargo test --workspace --features e2e --test existing_cluster --locked -- --nocapture'

# cargo: "test result: ok. 5 passed; 0 failed; …"; vitest: "      Tests  12 passed (12)" or "Tests  1 failed | 11 passed (12)".
count() {
  sed 's/\x1b\[[0-9;]*m//g' "$log" | grep -E '^test result:|^ *Tests ' | grep -oE "[0-9]+ $1" | awk '{n += $1} END {print n + 0}'
}
passed=$(count passed)
failed=$(count failed)
if [ "$failed_tiers" -gt 0 ] && [ "$failed" -eq 0 ]; then failed=$failed_tiers; fi
printf '\n%d passed, %d failed\n' "$passed" "$failed"
[ "$failed_tiers" -eq 0 ] && [ "$passed" -gt 0 ]
