# SPDX-License-Identifier: MIT
# build/numabal: the command.  From libnumabal.a it takes base and plat only.

TOOL_OBJS := $(patsubst %.c,$(OBJ)/%.o,$(sort $(wildcard tools/*.c)))
TOOL := $(O)/numabal
PRODUCTS += $(if $(TOOL_OBJS),$(TOOL))

$(TOOL): $(TOOL_OBJS) $(LIB_A)
	$(call link)
