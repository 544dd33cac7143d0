# SPDX-License-Identifier: MIT
# build/examples/NAME, one program per examples/NAME.c.

EXAMPLES := $(patsubst examples/%.c,$(O)/examples/%,\
	$(sort $(wildcard examples/*.c)))
PRODUCTS += $(EXAMPLES)

$(EXAMPLES): $(O)/examples/%: $(OBJ)/examples/%.o $(LIB_LINK)
	$(call link,$(call link_so,..))
