// SPDX-License-Identifier: MIT
// The same, in C++: numabal.h has nothing that is C alone.
#include "test_build.c"
