/* SPDX-License-Identifier: MIT */
/*
 * Threads that start beside their creators: the glue of policy/task_start.h.
 */
#ifndef NB_START_ROOM_H
#define NB_START_ROOM_H

#include "base/nodemask.h"

void nb_start_begin(int slot, int creator);
void nb_start_end(int slot);
void nb_start_publish(const uint64_t idle[NB_MAX_NODES], uint64_t now_ns);
void nb_start_walk(uint64_t now_ns);
void nb_start_after_fork(void);

#endif /* NB_START_ROOM_H */
