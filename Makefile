# Each target installs what this machine lacks (tools/setup.sh) and keeps its output outside the
# checkout, in $KEYFOLD_CACHE (default ~/.cache/keyfold). ARGS goes to the keyfold command.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
ARGS ?=
TARGETS ?=

.PHONY: help demo dev test enclave enclave-test enclave-reproduce lint fmt bench bench-sign-in bench-wallet fuzz contracts conformance setup

help: ## Show this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z-]+:.*## / { printf "  make %-17s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## Start everything on loopback, do the whole job once, end (ARGS=--json: last line is JSON)
	@tools/run.sh debug demo $(ARGS)

dev: ## The same, and stay up, with commands to try (Ctrl-C ends it)
	@tools/run.sh debug dev $(ARGS)

test: ## Run every check and every test
	@tools/setup.sh tests
	@tools/test.sh

enclave: setup ## Build the enclave image and print its measurements (Debian, x86-64)
	@tools/enclave/build.sh

enclave-test: setup ## Boot the enclave image in QEMU and have it sign (KEYFOLD_BUILD_QEMU=1 builds QEMU first)
	@tools/enclave/test.sh

enclave-reproduce: setup ## Build the image again elsewhere, as another user, with no cache, and compare
	@tools/enclave/reproduce.sh

lint: setup ## Formatting, lints, WebAssembly builds, dependency rules
	@tools/test.sh lint

fmt: setup ## Format the Rust code
	@source tools/env.sh && cargo fmt --all

bench: ## Measure a signature against its primitives, in one run
	@tools/run.sh release bench sign $(ARGS)

bench-sign-in: ## Measure a sign-in by each method, and the enclave's memory under many passwords
	@tools/run.sh release bench sign-in $(ARGS)

bench-wallet: setup ## Measure the wallet formats against the npm package, in one run
	@source tools/env.sh && cargo build --locked --release -p keyfold-wallet --example bench && \
		node bench/wallet.mjs "$$CARGO_TARGET_DIR/release/examples/bench" $(ARGS)

fuzz: ## Run every fuzz target for 30 s (FUZZ_SECONDS=300, TARGETS="net_pipe log_note")
	@fuzz/run.sh $(TARGETS)

contracts: setup ## Rebuild the contracts and compare with the committed artifacts
	@tools/contracts.sh check

conformance: setup ## Compare the wallet formats with the npm package and the contracts
	@tools/conformance.sh build test

setup: ## Install what is missing, nothing else
	@tools/setup.sh
