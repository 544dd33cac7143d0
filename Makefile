# SPDX-License-Identifier: MIT
# numabal: build, test, install.  `make help` lists the targets.
#
# Out of tree: everything is made under build/.  BUILD=release (the default)
# puts its products right there; debug, asan, tsan and cov have a folder each.
# Nothing here may need a compiler or pkg-config while it is being read:
# `make test` and `make demo` install those first.

BUILD ?= release
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
FUZZ_S ?= 30
O := $(if $(filter release,$(BUILD)),build,build/$(BUILD))
OBJ := build/obj/$(BUILD)
Q := $(if $(V),,@)
say = @printf '  %-7s %s\n' $(1) $(2)

ifeq ($(filter release debug asan tsan cov mutant-%,$(BUILD)),)
$(error BUILD=$(BUILD): must be release, debug, asan, tsan, cov or mutant-X)
endif

CC := $(if $(filter default,$(origin CC)),gcc,$(CC))
AR ?= ar
CFLAGS ?= -O2 -g
# Empty as in a source's own "#define _GNU_SOURCE", so that both may be.
NB_CPPFLAGS := -D_GNU_SOURCE= -Iinclude
NB_CFLAGS := -std=gnu11 -fvisibility=hidden -fPIC -Wall -Wextra -Wshadow \
	-Wvla -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
	$(if $(WERROR),-Werror)
NB_LDFLAGS := -Wl,-z,defs -Wl,-z,relro -Wl,-z,now
NB_LIBS := -lpthread -ldl

# These come after CFLAGS, so that their -O wins over the default one.
ifeq ($(BUILD),debug)
BUILD_CFLAGS := -O0 -DNB_DEBUG
endif
ifeq ($(BUILD),asan)
BUILD_CFLAGS := -O1 -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined -fno-omit-frame-pointer \
	-DNB_DEBUG -DNB_SANITIZED
NB_LDFLAGS := -fsanitize=address,undefined
endif
ifeq ($(BUILD),tsan)
BUILD_CFLAGS := -O1 -fsanitize=thread -DNB_DEBUG -DNB_SANITIZED
NB_LDFLAGS := -fsanitize=thread
endif
ifeq ($(BUILD),cov)
BUILD_CFLAGS := -O0 --coverage -DNB_DEBUG
NB_LDFLAGS := --coverage
endif

# Without one of the defences in lib/base/mutant.h: check-mutations.
ifneq ($(filter mutant-%,$(BUILD)),)
BUILD_CFLAGS := -DNB_MUTANT_$(patsubst mutant-%,%,$(BUILD))
endif

VERSION := $(shell awk '/define NUMABAL_VERSION_(MAJOR|MINOR|PATCH)/ \
	{ v = v (v == "" ? "" : ".") $$3 } END { print v }' include/numabal.h)

.PHONY: all help deps test demo ci asan tsan cov fuzz install uninstall clean
.PHONY: distclean
all: ## build both libraries, the tool, examples, benches and tests

include lib/lib.mk preload/preload.mk tools/tools.mk examples/examples.mk
include bench/bench.mk tests/tests.mk

all: $(PRODUCTS)

-include $(shell find $(OBJ) -name '*.d' 2>/dev/null)

# An object is made again when the way to make it has changed.
FLAGS_LINE := $(CC) $(NB_CPPFLAGS) $(CPPFLAGS) $(NB_CFLAGS) $(CFLAGS) \
	$(BUILD_CFLAGS)
$(OBJ)/flags: FORCE
	@mkdir -p $(@D)
	@echo '$(FLAGS_LINE)' | cmp -s - $@ || echo '$(FLAGS_LINE)' > $@
.PHONY: FORCE

$(OBJ)/%.o: %.c $(OBJ)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(NB_CPPFLAGS) $(CPPFLAGS) $(NB_CFLAGS) $(CFLAGS) \
		$(BUILD_CFLAGS) $(CFLAGS_$(subst /,_,$*)) -MMD -MP -c -o $@ $<

$(OBJ)/%.o: %.S $(OBJ)/flags
	@mkdir -p $(@D)
	$(call say,AS,$<)
	$(Q)$(CC) $(NB_CPPFLAGS) $(CPPFLAGS) -g -fPIC -MMD -MP -c -o $@ $<

help: ## this list
	@awk -F ':.*## ' '/^[a-z][a-z_-]*:.*## / { \
		printf "  %-14s %s\n", $$1, $$2 }' \
		Makefile tests/tests.mk bench/bench.mk
	@echo 'Variables: BUILD=release|debug|asan|tsan|cov V=1 WERROR=1' \
		'PREFIX= DESTDIR= LIBDIR= FUZZ_S=$(FUZZ_S) NO_DEPS=1'

deps: ## install the packages that building and testing need
	@tools/deps.sh build test

test: ## everything that can be checked; installs what it lacks
	@$(if $(NO_DEPS),:,tools/deps.sh build test)
	+@MAKE='$(MAKE)' tests/all.sh

demo: ## what numabal does, shown; installs what it lacks
	@$(if $(NO_DEPS),:,tools/deps.sh build demo)
	+@$(MAKE) --no-print-directory all
	@bench/demo.sh

ci: ## what the continuous integration runs
	+@$(MAKE) --no-print-directory WERROR=1 test

install: all ## install under PREFIX, below DESTDIR
	install -d $(addprefix $(DESTDIR),$(PREFIX)/bin $(PREFIX)/include \
		$(LIBDIR)/pkgconfig)
	install -m 755 $(O)/numabal $(DESTDIR)$(PREFIX)/bin/
	install -m 644 include/numabal.h $(DESTDIR)$(PREFIX)/include/
	install -m 755 $(LIB_SO) $(PRELOAD_SO) $(DESTDIR)$(LIBDIR)/
	install -m 644 $(LIB_A) $(DESTDIR)$(LIBDIR)/
	ln -sf libnumabal.so.0 $(DESTDIR)$(LIBDIR)/libnumabal.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' \
		-e 's|@VERSION@|$(VERSION)|' pkgconfig/numabal.pc.in \
		> $(DESTDIR)$(LIBDIR)/pkgconfig/numabal.pc
	for m in $(wildcard man/*.[1-9]); do \
		d=$(DESTDIR)$(PREFIX)/share/man/man$${m##*.}; \
		install -d "$$d" && install -m 644 "$$m" "$$d/" || exit 1; \
	done

uninstall: ## remove what install put there
	rm -f $(addprefix $(DESTDIR),$(PREFIX)/bin/numabal \
		$(PREFIX)/include/numabal.h \
		$(addprefix $(LIBDIR)/,libnumabal.so libnumabal.so.0 \
		libnumabal.a libnumabal-preload.so pkgconfig/numabal.pc) \
		$(foreach m,$(notdir $(wildcard man/*.[1-9])),\
		$(PREFIX)/share/man/man$(subst .,,$(suffix $m))/$m))

clean: ## remove what was built; not the kernel that the guests use
	@[ ! -d build ] || find build -mindepth 1 -maxdepth 1 ! -name guest \
		-exec rm -rf {} +
distclean: ## remove build/
	rm -rf build
