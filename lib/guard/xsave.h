/* SPDX-License-Identifier: MIT */
/*
 * Vector state around the slow half of the guard: see entry.S.
 */
#ifndef NB_GUARD_XSAVE_H
#define NB_GUARD_XSAVE_H

#include "../base/util.h"

extern uint64_t nb_guard_xsave_bytes;
extern uint8_t nb_guard_xsave_compact; /* XSAVEC rather than XSAVE */

void nb_xsave_init(void);

#endif /* NB_GUARD_XSAVE_H */
