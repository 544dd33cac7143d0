# SPDX-License-Identifier: MIT
# libnumabal.so.0 and libnumabal.a.  Sources in pipeline order; a file that is
# missing from these lists fails tests/lint/sources.sh.

LIB_BASE := base/parse.c base/record.c

LIB_POLICY := $(addprefix policy/,scan.c page_history.c numa_faults.c \
	partners.c numa_group.c group_set.c placement.c group_place.c migrate_filter.c tier_heat.c \
	tier.c tier_plan.c task_claim.c task_place.c task_start.c rate_limit.c \
	scan_period.c)

LIB_PLAT := $(addprefix plat/,sys.c line_reader.c features.c topology.c \
	maps.c taskinfo.c arena.c log.c lock.c raw_thread.c)

LIB_MECH := $(addprefix mech/,inflight.c slot.c slot_end.c chunk.c protect.c arm.c keep.c \
	hint_fault.c fault_ring.c migrate.c affinity.c altstack.c sigframe.c \
	sigmove.S sigmask.c sigchain.c)

LIB_GUARD := $(addprefix guard/,decoder.c eh_frame.c body.c branch.c \
	bridge.c shape.c site.c site_name.c \
	window.c stub.c code.c area.c record.c install.c patch.c module.c \
	xsave.c entry.S syscall.c subcall.c hole.c guard.c)

LIB_GLUE := config.c detect.c detect_elf.c detect_self.c detect_tier.c \
	start.c guard_setup.c guard_mm.c guard_advice.c guard_verify.c \
	guard_stack.c guard_signal.c guard_exec.c \
	guard_handler.c guard_process.c guard_task.c guard_step.c guard_alone.c \
	guard_report.c tasks.c latency.c regions.c numabald.c sample.c tiering.c place.c arming.c \
	start_room.c standdown.c fork.c \
	record.c record_events.c stats.c stats_json.c hooks.c hooks_task.c api.c

# On the way of every system call: entry.S saves no vector register for these.
GUARD_FAST := guard/guard guard/syscall guard/subcall mech/inflight \
	mech/slot mech/chunk mech/arm mech/keep mech/protect plat/sys plat/lock
GENERAL_REGS = $(if $(filter x86_64%,$(shell $(CC) -dumpmachine)),\
	$(if $(filter asan tsan,$(BUILD)),,-mgeneral-regs-only))
$(foreach f,$(GUARD_FAST),$(eval CFLAGS_lib_$(subst /,_,$f) = $$(GENERAL_REGS)))

lib_list = $(foreach s,$(1),$(wildcard lib/$(s)))
objs = $(addprefix $(OBJ)/,$(addsuffix .o,$(basename $(1))))
lib_objs = $(call objs,$(call lib_list,$(1)))
BASE_OBJS := $(call lib_objs,$(LIB_BASE))
POLICY_OBJS := $(call lib_objs,$(LIB_POLICY))
LIB_SRCS := $(call lib_list,$(LIB_BASE) $(LIB_POLICY) $(LIB_PLAT) \
	$(LIB_MECH) $(LIB_GUARD) $(LIB_GLUE))
LIB_OBJS := $(call objs,$(LIB_SRCS))

LIB_SO := $(O)/libnumabal.so.0
LIB_LINK := $(O)/libnumabal.so
LIB_A := $(O)/libnumabal.a
PRODUCTS += $(LIB_SO) $(LIB_LINK) $(LIB_A)

$(LIB_SO): $(LIB_OBJS) lib/numabal.map
	@mkdir -p $(@D)
	$(call say,LD,$@)
	@v=$$(sed -n 's/^NUMABAL_\([0-9.]*\) {.*/\1/p' lib/numabal.map | \
		tail -n 1); case '$(VERSION)' in "$$v".*) ;; *) \
		echo "numabal.h is $(VERSION), the newest node of" \
		"numabal.map NUMABAL_$$v" >&2; exit 1 ;; esac
	$(Q)$(CC) -shared $(CFLAGS) $(BUILD_CFLAGS) $(NB_LDFLAGS) $(LDFLAGS) \
		-Wl,-soname,libnumabal.so.0 -Wl,-z,nodelete \
		-Wl,--version-script=lib/numabal.map -o $@ $(LIB_OBJS) \
		$(NB_LIBS)

$(LIB_LINK): $(LIB_SO)
	@ln -sf $(<F) $@

$(LIB_A): $(LIB_OBJS)
	@mkdir -p $(@D)
	$(call say,AR,$@)
	$(Q)rm -f $@ && $(AR) rcs $@ $(LIB_OBJS)

# The command of a program, from its own objects ($^ without the libraries):
# $(call link,more libraries)
link = @mkdir -p $(@D); printf '  %-7s %s\n' LD $@; \
	$(if $(V),set -x;) $(CC) $(CFLAGS) $(BUILD_CFLAGS) $(NB_LDFLAGS) \
	$(LDFLAGS) -o $@ $(filter %.o %.a,$^) $(1) $(NB_LIBS)
# A program of folder build/x/y finds the shared library from where it is.
link_so = -L$(O) -lnumabal -Wl,-rpath,'$$ORIGIN/$(1)'
