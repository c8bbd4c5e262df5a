# Every habit has one word. A fresh Debian 12 with Swift 6.2 or later, git, make and apt is enough: `demo`, `check`,
# `bench` and `fuzz` install what they miss.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

VERSION := 0.1.0
TOOLS   := qemu-img e2image o2image btrfs-image ntfsclone
PREFIX  ?= /usr/local
DESTDIR ?=
SECONDS ?= 60
FILTER  ?=

# One set of compiled objects serves the tools and the tests: the same flags everywhere, and `swift test` only with
# --skip-build, because it would add its own -enable-testing, which changes every command line and compiles all again.
SWIFT_FLAGS := -c release -Xswiftc -enable-testing
PRODUCTS    := .build/release

# What Debian has to provide. qemu-block-extra stays out (hence --no-install-recommends): it changes the reference.
BUILD_PACKAGES := git libdeflate-dev zlib1g-dev libzstd-dev
TEST_PACKAGES  := qemu-utils e2fsprogs ntfs-3g ocfs2-tools btrfs-progs xfsprogs acl attr xz-utils
BENCH_PACKAGES := hyperfine time util-linux strace

SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

# $(call install,packages): apt only when something is missing, so that the network is not needed otherwise.
define install
	missing=(); \
	for package in $(1); do \
	  [[ "$$(dpkg-query -W -f='$${db:Status-Status}' "$$package" 2>/dev/null)" == installed ]] || missing+=("$$package"); \
	done; \
	if (( $${#missing[@]} )); then \
	  echo "Installing $${missing[*]}"; \
	  $(SUDO) apt-get update -q; \
	  $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "$${missing[@]}"; \
	fi
endef

.PHONY: build deps deps-check deps-bench demo check conformance bench fuzz install package format lint clean

deps:
	@$(call install,$(BUILD_PACKAGES))

deps-check: deps
	@$(call install,$(TEST_PACKAGES))

deps-bench: deps-check
	@$(call install,$(BENCH_PACKAGES))

## Builds the tools into .build/release.
build: deps
	swift build $(SWIFT_FLAGS)

## Shows the tools at work on a real ext4 disk.
demo: deps-check build
	@PATH="$(CURDIR)/$(PRODUCTS):$$PATH" Scripts/demo

## Runs every test: units, and each command beside the reference tool. What failed is said again at the end, for those who
## see only that.
check: deps-check
	swift build $(SWIFT_FLAGS) --build-tests
	log=$$(mktemp); trap 'rm -f "$$log"' EXIT; status=0; \
	CI=true swift test --skip-build $(SWIFT_FLAGS) 2>&1 | tee "$$log" || status=$$?; \
	(( status == 0 )) || { echo; echo 'What failed:'; grep -A 3 ' recorded an issue ' "$$log" | cut -c 1-400 | tail -n 40; }; \
	exit $$status

## Runs the cases beside the reference whose name matches FILTER (a regular expression).
conformance: deps-check
	swift build $(SWIFT_FLAGS) --build-tests
	CONFORMANCE_FILTER='$(FILTER)' swift test --skip-build $(SWIFT_FLAGS) --filter ConformanceTests

## Runs the same jobs with the reference and with ours; prints a table of ratios. SIZE=64M for a quick look.
bench: deps-bench build
	@Benchmarks/qemu-img --tools "$(CURDIR)/$(PRODUCTS)" $(if $(SIZE),--size $(SIZE)) $(if $(JOBS),--jobs '$(JOBS)')
	$(if $(JOBS),,@for script in $(filter-out %/qemu-img,$(wildcard Benchmarks/*)); do \
	  "$$script" --tools "$(CURDIR)/$(PRODUCTS)"; \
	done)

## Runs every libFuzzer target for SECONDS.
fuzz: deps-check
	@Fuzz/run $(SECONDS)

install: build
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/share/man/man1" "$(DESTDIR)$(PREFIX)/share/man/man8"
	for tool in $(TOOLS); do \
	  install -s -m 755 "$(PRODUCTS)/$$tool" "$(DESTDIR)$(PREFIX)/bin/$$tool"; \
	  for page in man/$$tool.[1-8]; do \
	    install -m 644 "$$page" "$(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}"; \
	  done; \
	done

## A tarball of what `install` puts under PREFIX.
package: DIST := .build/package/disk-imaging-tools-$(VERSION)-$(shell uname -m)
package: build
	rm -rf "$(DIST)"
	$(MAKE) --no-print-directory install DESTDIR="$(DIST)" PREFIX=/usr
	cp LICENSE README.md "$(DIST)/"
	tar -C "$(dir $(DIST))" --owner=0 --group=0 --sort=name -czf "$(DIST).tar.gz" "$(notdir $(DIST))"
	@echo "$(DIST).tar.gz"

format:
	swift format format --in-place --recursive --parallel Package.swift Sources Tests Fuzz

lint:
	swift format lint --strict --recursive --parallel Package.swift Sources Tests Fuzz

clean:
	rm -rf .build Fuzz/.build Fuzz/corpus Fuzz/crashes
