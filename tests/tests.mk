# SPDX-License-Identifier: MIT
# Test programs and the targets that run them.
#
# unit/test_*.c         one program each, with libnumabal.a and cmocka; other
#                       .c files of the folder are linked into all of them
# sim/test_*.c          as unit, with the objects of base and policy alone;
#                       so are sim/prog_sim.c, which make sim runs, and
#                       sim/prog_replay.c, which replays a recorded run
# integration/test_*.c  with libnumabal.so; with libnumabal.a when they
#                       include a header of lib/
# integration/lib_*.c   shared libraries that those programs load
# integration/prog_*.c, numa/prog_*.c
#                       plain programs for the scripts: know nothing of numabal
# torture/              one plain program of all its .c files
# */test_*.sh           run as they are
# compat/cases/*.sh     real programs, run by compat/run.sh
# libc/                 other libcs than this machine's, from Debian

names = $(patsubst %.c,$(O)/%,$(sort $(wildcard $(1))))
helpers = $(patsubst %.c,$(OBJ)/%.o,$(sort $(filter-out \
	$(1)/test_% $(1)/prog_% $(1)/lib_%,$(wildcard $(1)/*.c))))
scripts = $(sort $(wildcard $(1)/test_*.sh))

UNIT := $(call names,tests/unit/test_*.c)
SIM := $(call names,tests/sim/test_*.c)
INTEG_INNER := $(patsubst %.c,$(O)/%,$(sort $(shell grep -ls \
	'^\#include "\.\./\.\./lib/' tests/integration/test_*.c)))
INTEG := $(call names,tests/integration/test_*.c)
PROGS := $(call names,tests/integration/prog_*.c tests/numa/prog_*.c)
NUMA := $(call names,tests/numa/test_*.c)
TORTURE := $(O)/tests/torture/torture
TEST_LIBS := $(addsuffix .so,$(call names,tests/integration/lib_*.c))
NUMABAL_SIM := $(O)/tests/sim/numabal-sim
NUMABAL_REPLAY := $(O)/tests/sim/numabal-replay
PRODUCTS += $(UNIT) $(SIM) $(NUMABAL_SIM) $(NUMABAL_REPLAY) $(INTEG) \
	$(PROGS) $(NUMA) $(TORTURE) $(TEST_LIBS)

$(UNIT): $(O)/%: $(OBJ)/%.o $(call helpers,tests/unit) $(LIB_A)
	$(call link,-lcmocka)
$(SIM): $(O)/%: $(OBJ)/%.o $(call helpers,tests/sim) $(POLICY_OBJS) $(BASE_OBJS)
	$(call link,-lcmocka)
$(NUMABAL_SIM) $(NUMABAL_REPLAY): $(O)/tests/sim/numabal-%: \
		$(OBJ)/tests/sim/prog_%.o $(call helpers,tests/sim) \
		$(POLICY_OBJS) $(BASE_OBJS)
	$(call link)
$(INTEG_INNER): $(O)/%: $(OBJ)/%.o $(call helpers,tests/integration) $(LIB_A)
	$(call link)
$(filter-out $(INTEG_INNER),$(INTEG)): $(O)/%: $(OBJ)/%.o \
		$(call helpers,tests/integration) $(LIB_LINK)
	$(call link,$(call link_so,../..))
$(NUMA): $(O)/%: $(OBJ)/%.o $(LIB_LINK)
	$(call link,$(call link_so,../..))
$(PROGS): $(O)/%: $(OBJ)/%.o
	$(call link)
$(TORTURE): $(patsubst %.c,$(OBJ)/%.o,$(sort $(wildcard tests/torture/*.c)))
	$(call link)
$(TEST_LIBS): $(O)/%.so: $(OBJ)/%.o
	$(call link,-shared)

AUDIT := $(O)/tests/audit/audit
PRODUCTS += $(AUDIT)
$(AUDIT): $(O)/%: $(OBJ)/%.o $(LIB_A)
	$(call link)

# What the tests are told: BUILD and the folder of its products.
run = @NB_BUILD=$(BUILD) NB_OUT='$(CURDIR)/$(O)' tests/run.sh

SEEDS ?= 5000
.PHONY: check-property
.PHONY: check check-unit check-sim sim check-integration check-examples check-abi
.PHONY: check-audit check-numa check-compat compat-deps lint format
check: all ## unit, sim, integration, examples and abi tests on this machine
	$(run) $(UNIT) $(SIM) $(INTEG) $(call scripts,tests/integration) \
		$(EXAMPLES) $(call scripts,tests/abi)
check-unit: $(UNIT) ## one kind of them; also check-sim, -integration, -abi
	$(run) $(UNIT)
check-sim: $(SIM)
	$(run) $(SIM)
sim: $(NUMABAL_SIM) ## rivals on simulated machines: SIM_ARGS="-s numa01 -v"
	@$(NUMABAL_SIM) $(if $(SIM_ARGS),$(SIM_ARGS),-j2)
check-property: $(O)/tests/sim/test_property ## policy on SEEDS=5000 machines by chance
	@$< -n $(SEEDS) -T 60 -j2 $(PROPERTY_ARGS)
check-integration: all
	$(run) $(INTEG) $(call scripts,tests/integration)
check-examples: $(EXAMPLES)
	$(run) $(EXAMPLES)
check-abi: all
	$(run) $(call scripts,tests/abi)
check-numa: all ## where pages and threads end up, in QEMU guests
	$(run) -t 600 $(wildcard tests/numa/selftest.sh) \
		$(call scripts,tests/numa)

check-compat: all ## real programs, balanced and not: CASES="redis nginx"
	@NB_OUT='$(CURDIR)/$(O)' tests/compat/run.sh $(CASES)
compat-deps: ## install the programs that check-compat runs
	@tools/deps.sh compat
check-guard: ## the guard at length: torture, mutants, programs, audit, fuzzers
	+@$(if $(NO_DEPS),:,tools/deps.sh build test compat fuzz)
	+@STAGES='check-torture check-mutations check-audit check-compat check-libc \
		fuzz' \
		MAKE='$(MAKE)' tests/all.sh
check-torture: all ## every kind of system call, armed, for TORTURE_S=60 s
	$(run) tests/torture/run.sh
check-mutations: all ## the same without a defence: it must be noticed
	+$(run) tests/torture/mutations.sh tests/mutants.sh
check-anywhere: all ## signals at every 17th instruction of exec and vfork
	$(run) -t 900 tests/integration/anywhere.sh
check-libc: all ## other libcs, from Debian: their sites, and how they run
	$(run) -t 7200 $(call scripts,tests/libc)
.PHONY: check-guard check-torture check-mutations check-anywhere check-libc

check-audit: all ## no call of check-compat's programs misses the guard
	$(run) -t 900 tests/audit/test_audit.sh
	@NB_OUT='$(CURDIR)/$(O)' tests/compat/audit.sh $(CASES)

asan: ## build and check with address and undefined-behaviour sanitizers
	+@$(MAKE) --no-print-directory BUILD=asan check
tsan: ## build and check with the thread sanitizer
	+@$(MAKE) --no-print-directory BUILD=tsan check
cov: ## branch coverage; lib/policy must have all of it
	+@$(MAKE) --no-print-directory BUILD=cov cov-run
.PHONY: cov-run
cov-run: $(UNIT) $(SIM)
	@find $(OBJ) -name '*.gcda' -delete
	$(run) $(UNIT) $(SIM) tests/coverage.sh

fuzz: ## run each fuzzer for FUZZ_S seconds
	@FUZZ_S=$(FUZZ_S) tests/fuzz/run.sh

LINT := $(sort $(filter-out %/lib.sh,$(wildcard tests/lint/*.sh)))
lint: all ## layers, purity, exports, format, sizes, docs, cppcheck, ...
	$(run) -t 120 $(LINT)
format: ## clang-format 14 in place
	@clang-format-14 --style=file -i $$(tests/lint/lib.sh sources)
