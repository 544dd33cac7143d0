# SPDX-License-Identifier: MIT
# libnumabal-preload.so: what LD_PRELOAD names; all state is in libnumabal.so.

PRELOAD_OBJS := $(patsubst %.c,$(OBJ)/%.o,$(sort $(wildcard preload/*.c)))
PRELOAD_SO := $(O)/libnumabal-preload.so
PRODUCTS += $(if $(PRELOAD_OBJS),$(PRELOAD_SO))

# The library is beside it, both in build/ and installed.
$(PRELOAD_SO): $(PRELOAD_OBJS) $(LIB_SO) $(LIB_LINK)
	$(call say,LD,$@)
	$(Q)$(CC) -shared $(CFLAGS) $(BUILD_CFLAGS) $(NB_LDFLAGS) $(LDFLAGS) \
		-Wl,-soname,libnumabal-preload.so -Wl,-z,nodelete \
		-Wl,-rpath,'$$ORIGIN:$$ORIGIN/../lib' -o $@ \
		$(PRELOAD_OBJS) -Wl,--no-as-needed -L$(O) -lnumabal $(NB_LIBS)
