# A thin face over Meson. `make help` lists what there is.
.PHONY: help deps deps-bench build debug tsan run check unit bench install fmt lint fuzz clean

BUILD ?= build
RELEASE := $(BUILD)/release
DEBUG := $(BUILD)/debug
TSAN := $(BUILD)/tsan

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

deps: ## install what building and testing need (Debian packages, named in tools/deps.txt)
	@tools/install-deps tools/deps.txt

deps-bench: deps ## install the servers that bench/ compares with
	@tools/install-deps tools/deps-bench.txt

build: deps $(RELEASE)/build.ninja ## build everything, optimised, in build/release
	@ninja -C $(RELEASE)

debug: deps $(DEBUG)/build.ninja ## build with AddressSanitizer and UBSan in build/debug
	@ninja -C $(DEBUG)

tsan: deps $(TSAN)/build.ninja ## build with ThreadSanitizer in build/tsan
	@ninja -C $(TSAN)

$(RELEASE)/build.ninja:
	@meson setup $(RELEASE) --buildtype=release -Db_lto=true

$(DEBUG)/build.ninja:
	@meson setup $(DEBUG) --buildtype=debugoptimized -Db_sanitize=address,undefined

$(TSAN)/build.ninja:
	@meson setup $(TSAN) --buildtype=debugoptimized -Db_sanitize=thread

unit: debug ## run the unit tests only
	@meson test -C $(DEBUG) --suite unit

fmt: ## lay out all C files by .clang-format
	@git ls-files '*.c' '*.h' | xargs clang-format -i

clean: ## remove all that was built
	rm -rf $(BUILD)
