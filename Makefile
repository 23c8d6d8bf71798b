# Every command a person needs around the sources. `make` alone lists them.
#
#   SWIFT   how to call the Swift toolchain (default: swift)
#   COUNT   how many streams `make fuzz` makes (default: 1000000), how often `make restarts` restarts (default: 100)
#   MINUTES how long `make fuzz-loaders` takes for each loader and `make fuzz-rpc` for each target (default: 15), and
#           `make soak` (default: 30)
#   MODELS  how many models `make prove-engine`, and of each library `make prove-native`, compares (default: 100000)
#   QUICK   anything: `make bench-engine` measures a part of its cases, in a few rounds
#   PREFIX  where `make deploy` installs (default: /opt/martlet)

SWIFT ?= swift
COUNT ?= 1000000
PREFIX ?= /opt/martlet
MINUTES ?= 15
MODELS ?= 100000
export SWIFT PREFIX

.DEFAULT_GOAL := help
# Every target that help lists is a command, not a file.
hash := \#
.PHONY: $(shell awk -F : '/^[a-z-]+:.*$(hash)$(hash) / { print $$1 }' $(firstword $(MAKEFILE_LIST)))

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Install what building and testing need (Debian packages, Python environment)
	scripts/setup build test
	scripts/python-env

build: ## Build everything for debugging
	scripts/setup --quiet build
	$(SWIFT) build

release: ## Build the optimised martlet binary
	scripts/setup --quiet build
	$(SWIFT) build -c release --product martlet

test: ## Run every test: contracts, style, units, golden data, real processes, README
	scripts/test

integration: release ## Run the tests that start the real binary
	scripts/setup --quiet test
	scripts/python-env
	Tests/Integration/run "$$($(SWIFT) build -c release --show-bin-path)/martlet"

restarts: release ## Restart a server under load, COUNT times (default here: 100); no call may be lost
	scripts/setup --quiet test
	scripts/python-env
	RESTARTS=$(if $(filter command line environment,$(origin COUNT)),$(COUNT),100) \
	  Tests/Integration/run "$$($(SWIFT) build -c release --show-bin-path)/martlet" takeover

demo: ## Build, serve two models, score, load-test, scrape the metrics, drain
	scripts/demo

bench: ## Measure against a C epoll echo; writes docs/performance.md and Benchmarks/results.json
	scripts/setup --quiet build
	$(SWIFT) build -c release --product martlet
	$(MAKE) --no-print-directory -C Benchmarks
	Benchmarks/run

bench-rpc: ## Measure the RPC core against the echo and a Go server; writes docs/performance.md and Benchmarks/rpc-results.json
	scripts/setup --quiet build test
	scripts/python-env
	$(SWIFT) build -c release --product martlet
	$(MAKE) --no-print-directory -C Benchmarks all go
	.venv/bin/python Benchmarks/rpc

bench-engine: ## Measure the engine against its peers (QUICK=1: a part); writes docs/performance.md
	scripts/setup --quiet build
	Benchmarks/peers-env
	$(MAKE) --no-print-directory -C Benchmarks
	Benchmarks/build-engine
	Benchmarks/.venv/bin/python Benchmarks/engine/run --binary .build-bench/release/EngineBenchmark \
	  $(if $(QUICK),--quick) $(BENCH_ARGUMENTS)

bench-allocations: ## Count the server's allocations per call for every form of call; fails when there are any
	scripts/setup --quiet build
	$(SWIFT) build -c release --product martlet
	$(MAKE) --no-print-directory -C Benchmarks
	Benchmarks/allocations

bench-reload: ## Measure the tail of a steady load during 100 reloads of another model; fails above 1.2 times
	scripts/setup --quiet build
	scripts/python-env
	$(SWIFT) build -c release --product martlet
	.venv/bin/python Benchmarks/reload $(BENCH_ARGUMENTS)

bench-connections: ## Measure the resident memory of 10,000 idle connections; fails above 10 KiB each
	scripts/setup --quiet build
	scripts/python-env
	$(SWIFT) build -c release --product martlet
	Tests/Chaos/run "$$($(SWIFT) build -c release --show-bin-path)/martlet" chaos --only-idle

chaos: release ## Abuse a server in every way of docs/robustness.md; fails when it does not survive one of them (root)
	scripts/python-env
	Tests/Chaos/run "$$($(SWIFT) build -c release --show-bin-path)/martlet" chaos $(CHAOS_ARGUMENTS)

soak: release ## Mixed load for MINUTES=30; fails when memory or descriptors grow or a call goes wrong
	scripts/python-env
	Tests/Chaos/run "$$($(SWIFT) build -c release --show-bin-path)/martlet" soak $(if $(filter command line environment,$(origin MINUTES)),$(MINUTES),30)

bench-instructions: ## Count instructions and retains per call under callgrind; fails above the bars
	scripts/setup --quiet build test
	scripts/python-env
	$(SWIFT) build -c release --product martlet
	$(MAKE) --no-print-directory -C Benchmarks
	.venv/bin/python Benchmarks/instructions

bench-system-calls: ## Count what the server asks of the kernel for a call, by strace; fails above what a round needs
	scripts/setup --quiet build test
	scripts/python-env
	$(SWIFT) build -c release --product martlet
	$(MAKE) --no-print-directory -C Benchmarks
	.venv/bin/python Benchmarks/system-calls

flame-graph: ## Draw where a reactor's time goes under load; needs Linux's perf, writes docs/images/flame.svg
	scripts/setup --quiet build
	scripts/python-env
	$(SWIFT) build -c release --product martlet
	$(MAKE) --no-print-directory -C Benchmarks
	.venv/bin/python Benchmarks/flame

bench-overload: ## Measure goodput at 3 times the capacity and fairness beside a client that floods; writes docs/performance.md
	scripts/setup --quiet build test
	scripts/python-env
	$(SWIFT) build -c release --product martlet
	$(MAKE) --no-print-directory -C Benchmarks
	.venv/bin/python Benchmarks/overload

simulate: ## Simulate the scheduler at 1 to 64 cores and 0.5 to 5 times the capacity; writes docs/scheduling.md
	scripts/setup --quiet build
	UPDATE_GENERATED=1 $(SWIFT) test --filter SchedulingSimulationTests

bench-kernels: ## Time the vector kernels of tree ensembles alone, for each level of this processor
	$(MAKE) --no-print-directory -C Benchmarks .build/kernels
	Benchmarks/.build/kernels

prove-engine: ## Compare every tree kernel in every variant with the walk on 100,000 random models; MODELS=… for fewer
	scripts/setup --quiet build
	MARTLET_PROVE_MODELS=$(MODELS) $(SWIFT) test -c release -Xswiftc -enable-testing --scratch-path .build-prove \
	  --filter CodedPlanTests

bench-load: ## Measure time and memory of loading large tree ensembles
	scripts/setup --quiet build
	scripts/python-env
	$(SWIFT) build -c release --product martlet
	.venv/bin/python Benchmarks/load/run .build/release/martlet

protos: ## Write the protobuf-c code of Protos/ into Sources/CProtos
	scripts/setup --quiet build
	Protos/generate

models: ## Train the models again; fails when their metrics move
	scripts/python-env
	.venv/bin/python models/training/train_all.py

deploy: ## Install the release build and models under PREFIX and switch to it
	scripts/deploy deploy

rollback: ## Switch PREFIX back to the release before the current one
	scripts/deploy rollback

format: ## Format the Swift sources in place
	$(SWIFT) format --in-place --recursive Sources Tests Package.swift

lint: ## Check the format of the Swift sources and the import rule between rooms
	$(SWIFT) format lint --strict --recursive Sources Tests Package.swift
	Tests/Architecture/imports

image-test: ## Build the container image, run it, score against it, end it (root, buildah)
	scripts/image-test

systemd-test: release ## Deploy, switch, kill and roll back under a systemd of its own (root, debootstrap)
	scripts/systemd-test "$$($(SWIFT) build -c release --show-bin-path)/martlet"

test-asan: ## Run the unit tests, and real servers, under AddressSanitizer
	scripts/setup --quiet build test
	scripts/python-env
	scripts/test-sanitized address

test-tsan: ## Run the tests of what has threads, and real servers, under ThreadSanitizer
	scripts/setup --quiet build test
	scripts/python-env
	scripts/test-sanitized thread

fuzz: ## Feed a million mutated calls to the decoders and services; COUNT=… for another number
	scripts/setup --quiet build
	Fuzz/run $(COUNT)

fuzz-loaders: ## libFuzzer against the loaders of model files, MINUTES=… each
	scripts/setup --quiet build
	Fuzz/loaders $(MINUTES)

fuzz-rpc: ## libFuzzer against frames, messages and a whole server, MINUTES=… each
	scripts/setup --quiet build
	Fuzz/rpc $(MINUTES)

prove-native: ## MODELS random models of each booster's own format against its library, bit for bit
	scripts/setup --quiet build
	scripts/prove-native $(MODELS)

clean: ## Remove everything that was built or generated, except the Python environment
	rm -rf .build .build-* out
