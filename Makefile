# Keel's build. It needs Go 1.26; what else it needs from Debian it installs.

EMULATOR ?= auto
DEMO     ?= test/demo/demo.yaml
CPUS     ?= 2
MEMORY   ?= 1024

GO       := go
BUILD    := build
E2E      := ./test/...

# Which toolchain builds kernels, those of tests too: go, or tamago with TAMAGO=/path/to/tamago-go/bin/go.
export TOOLCHAIN ?= go
export TAMAGO    ?=

.DEFAULT_GOAL := help
.PHONY: help image run test unit check e2e tamago bench surface lint setup guest clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile
	@echo "  make image takes CA=FILE, an operator CA: the image then takes only seeds that it has signed (SEQUENCE=N: from N on);"
	@echo "    and REVOKED=FILE, the certificates that it never believes: \`keelctl cert revoked -o json\` writes them"
	@echo "  make image, run, test and bench take TOOLCHAIN=tamago TAMAGO=/path/to/tamago-go/bin/go"
	@echo "  make run takes EMULATOR=auto|qemu|bochs, CPUS=2, MEMORY=1024 (MiB), DEMO=$(DEMO)"

image: ## build build/keel.elf and build/keel.iso
	@$(GO) run ./tools/setup image
	@mkdir -p $(BUILD)
	$(GO) run ./tools/kernel -o $(BUILD)/keel.raw ./cmd/keel
	@$(GO) run ./tools/mkimage $(if $(CA),-ca $(CA)) $(if $(SEQUENCE),-minimum $(SEQUENCE)) $(if $(REVOKED),-revoked $(REVOKED)) -o $(BUILD)/keel.elf $(BUILD)/keel.raw
	@$(GO) run ./tools/mkiso -kernel $(BUILD)/keel.elf -o $(BUILD)/keel.iso

run: image guest ## run the demo guest in an emulator
	@$(GO) run ./tools/setup emulators
	@$(GO) run ./tools/run -emulator $(EMULATOR) -cpus $(CPUS) -memory $(MEMORY) -f $(DEMO)

test: setup image guest check unit e2e tamago ## run all tests: unit tests, checks, both emulators

# Everything but what needs an emulator.
unit:
	$(GO) test $$($(GO) list ./... | grep -v '^keel/test/')

# One package after the other, and with -v, so that a long run shows where it is.
e2e:
	KEEL_REQUIRE_EMULATORS=1 $(GO) test -count=1 -p 1 -v -timeout 70m $(E2E)

# The end-to-end tests once more, with images by the other toolchain, and what they must hold, where TAMAGO names one.
tamago:
	@if [ $(TOOLCHAIN) = tamago ]; then :; \
	elif [ -z "$(TAMAGO)" ]; then echo "not run: the tests of images built by TamaGo, since TAMAGO names no toolchain of it"; \
	else export TOOLCHAIN=tamago; \
		$(GO) run ./tools/kernel -plain -o /dev/null ./cmd/keel && $(GO) test -count=1 ./tools/lowercheck && $(MAKE) e2e TOOLCHAIN=tamago; fi

check: lint
	@echo "linking without optimisation: do nosplit functions still fit?"
	@$(GO) run ./tools/kernel -plain -o /dev/null ./cmd/keel
	@for os in linux darwin windows; do \
		echo "building keelctl for $$os"; \
		CGO_ENABLED=0 GOOS=$$os $(GO) build -o /dev/null ./cmd/keelctl || exit 1; \
	done

lint: ## gofmt and go vet
	@bad=$$(gofmt -l .); [ -z "$$bad" ] || { echo "not formatted, run gofmt -w on:"; echo "$$bad"; exit 1; }
	$(GO) vet ./...

bench: setup image guest ## measure the bars of the design in Bochs
	KEEL_REQUIRE_EMULATORS=1 $(GO) test -run '^$$' -bench . -benchtime 1x -timeout 18m ./test/bench

surface: image ## list what a guest can reach, and what runs in ring 0
	@$(GO) run ./tools/surface -image $(BUILD)/keel.raw

setup:
	@$(GO) run ./tools/setup

guest:
	@$(GO) run ./tools/guest -o $(BUILD)/guest

clean: ## remove what was built, and what was downloaded
	rm -rf $(BUILD)
