# SPDX-License-Identifier: MIT
# build/numabal: the command.  From libnumabal.a it takes base and plat only.

TOOL_OBJS := $(patsubst %.c,$(OBJ)/%.o,$(sort $(wildcard tools/*.c)))
TOOL := $(O)/numabal
CFLAGS_tools_run := -DNB_LIBDIR='"$(LIBDIR)"'
PRODUCTS += $(if $(TOOL_OBJS),$(TOOL))

$(TOOL): $(TOOL_OBJS) $(LIB_A)
	$(call link)
