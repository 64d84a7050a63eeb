# The verbs of the project, for people and CI alike. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
STEP := scripts/step
KUBERNETES := target/lab/lab-kube target/lab/pause
export GOTOOLCHAIN := local
export NEXT_TELEMETRY_DISABLED := 1

.PHONY: help setup build build-debug kubernetes web check test demo demo-down bench gen

help: ## list the verbs
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## check the toolchains, install the Debian packages that are missing
	@$(STEP) 'packages' scripts/setup.sh

kubernetes: $(KUBERNETES) ## build the lab's Kubernetes (one binary, from the official Go modules)

web: web/out/index.html ## build the dashboard

$(KUBERNETES) &: $(wildcard lab/kubernetes/*.go lab/kubernetes/*/*.go) lab/kubernetes/go.mod lab/kubernetes/go.sum
	@$(STEP) 'Kubernetes from its Go modules (5 minutes the first time)' lab/kubernetes/build.sh target/lab
	@touch $(KUBERNETES)

web/node_modules/.package-lock.json: web/package-lock.json
	@$(STEP) 'npm packages' npm --prefix web ci --no-audit --no-fund
	@touch $@

WEB_SOURCES := $(shell git ls-files -co --exclude-standard web | grep -vE '^web/(e2e|dev)/')
web/out/index.html: web/node_modules/.package-lock.json $(WEB_SOURCES)
	@$(STEP) 'dashboard' npm --prefix web run build
	@touch $@

build: setup kubernetes web ## build everything, optimised
	@$(STEP) 'Rust workspace, optimised (6 minutes the first time)' cargo build --release --workspace --bins --locked --quiet

build-debug: setup kubernetes web
	@$(STEP) 'Rust workspace' cargo build --workspace --bins --locked --quiet

check: ## formatting and lints
	@$(STEP) 'rustfmt' cargo fmt --all --check
	@$(STEP) 'clippy' cargo clippy --workspace --all-targets --all-features --locked --quiet -- -D warnings

test: build-debug check ## run all tests: unit, property, integration with the real services, end to end in the lab
	@scripts/test.sh

demo: build ## the whole system: lab, services, Kubernetes, Lastmile, subscribers online
	@target/release/lab up

demo-down: ## take the demo away, without a trace
	@if [ -x target/release/lab ]; then target/release/lab down; fi

bench: build ## measure, side by side with what one would use instead
	@target/release/lab bench

gen: ## write the generated files again: CRDs, OpenAPI, the dashboard's client, golden outputs
	LASTMILE_UPDATE=1 INSTA_UPDATE=always cargo test --workspace --quiet
	cd web && npm run --silent gen
