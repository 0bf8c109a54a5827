# A thin face over Meson. `make help` lists what there is.
.PHONY: help deps deps-run deps-bench build debug tsan fuzzers run check unit sim fuzz bench install docs fmt lint clean

BUILD ?= build
RELEASE := $(BUILD)/release
DEBUG := $(BUILD)/debug
TSAN := $(BUILD)/tsan
FUZZ := $(BUILD)/fuzz

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

deps: ## install what building and testing need (Debian packages, named in tools/deps.txt)
	@tools/install-deps tools/deps.txt

deps-run: # what building and running need
	@tools/install-deps tools/deps.txt check

deps-bench: deps ## install the servers that bench/ compares with
	@tools/install-deps tools/deps-bench.txt

build: deps-run $(RELEASE)/build.ninja ## build everything, optimised, in build/release
	@ninja -C $(RELEASE)

debug: deps $(DEBUG)/build.ninja ## build with AddressSanitizer and UBSan in build/debug
	@ninja -C $(DEBUG)

tsan: deps $(TSAN)/build.ninja ## build with ThreadSanitizer in build/tsan
	@ninja -C $(TSAN)

$(RELEASE)/build.ninja:
	@meson setup $(RELEASE) --buildtype=release -Db_lto=true

$(DEBUG)/build.ninja:
	@meson setup $(DEBUG) --buildtype=debugoptimized -Db_sanitize=address,undefined

$(FUZZ)/build.ninja:
	@CC=clang meson setup $(FUZZ) -Dfuzz=true --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false

$(TSAN)/build.ninja:
	@meson setup $(TSAN) --buildtype=debugoptimized -Db_sanitize=thread

fuzzers: deps $(FUZZ)/build.ninja ## build the fuzz targets with Clang in build/fuzz
	@ninja -C $(FUZZ) fuzzers

run: build ## start the server in the folder run/, ready to chat (ACCOUNT=a@localhost PASSWORD=p asks nothing)
	@tools/run $(RELEASE)/src/programs/jabirud/jabirud $(RELEASE)/src/programs/jabiructl/jabiructl

check: deps debug $(RELEASE)/build.ninja $(TSAN)/build.ninja $(FUZZ)/build.ninja ## install what is missing, build, run all tests
	@tools/check

unit: debug ## run the unit and scenario tests only
	@tools/check tests

sim: build ## simulate SIM_SEEDS (20000) runs of whole servers, on all cores
	@SIM_SEEDS=$${SIM_SEEDS:-20000} tools/check sim

fuzz: deps $(FUZZ)/build.ninja ## fuzz each target for FUZZ_SECONDS (600)
	@FUZZ_SECONDS=$${FUZZ_SECONDS:-600} tools/check fuzz

bench: build deps-bench ## measure beside other servers and print the table
	@bench/run

install: build ## install (DESTDIR, PREFIX by meson)
	@meson install -C $(RELEASE)

docs: build ## make the pages that are made from the program
	@$(RELEASE)/src/programs/jabirud/jabirud --print-config-reference >docs/configuration.md
	@$(RELEASE)/src/programs/jabirud/jabirud --print-doap >jabiru.doap

fmt: ## lay out all C files by .clang-format
	@git ls-files '*.c' '*.h' | xargs clang-format -i

lint: debug ## check the house's rules
	@tools/lint $(DEBUG)/src/programs/jabirud/jabirud

clean: ## remove all that was built
	rm -rf $(BUILD)
