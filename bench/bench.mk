# SPDX-License-Identifier: MIT
# build/bench/NAME, one program per bench/NAME.c.  The work_* programs stand
# for a user's program: they share BENCH_SHARED and know nothing of numabal.

BENCH_SHARED := work workopts workplace
BENCH_WORK := $(patsubst bench/%.c,$(O)/bench/%,\
	$(sort $(wildcard bench/work_*.c)))
BENCH_OTHER := $(patsubst bench/%.c,$(O)/bench/%,\
	$(sort $(filter-out $(BENCH_SHARED:%=bench/%.c) bench/work_%.c,\
		$(wildcard bench/*.c))))
BENCHES := $(BENCH_WORK) $(BENCH_OTHER)
PRODUCTS += $(BENCHES)

$(BENCH_WORK): $(O)/bench/%: $(OBJ)/bench/%.o \
		$(BENCH_SHARED:%=$(OBJ)/bench/%.o)
	$(call link)

$(BENCH_OTHER): $(O)/bench/%: $(OBJ)/bench/%.o $(LIB_A)
	$(call link)

.PHONY: bench
bench: $(BENCHES) ## measure; prints medians and spread
	@bench/run.sh
