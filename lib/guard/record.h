/* SPDX-License-Identifier: MIT */
/*
 * The records of guarded sites: they only become more, and never move.
 */
#ifndef NB_GUARD_RECORD_H
#define NB_GUARD_RECORD_H

#include "patch.h"

struct nb_patched *nb_record(uint64_t index);
int nb_records_make(uint32_t first, uint32_t nr);
void nb_records_publish(uint32_t nr);

#endif /* NB_GUARD_RECORD_H */
