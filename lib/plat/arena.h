/* SPDX-License-Identifier: MIT */
/*
 * The library's own memory: mapped by raw system calls, never armed, never
 * given back to anybody's malloc, zeroed when handed out.
 */
#ifndef NB_ARENA_H
#define NB_ARENA_H

#include "../base/util.h"

void *nb_arena_map(size_t bytes);
void nb_arena_unmap(void *p, size_t bytes);
void *nb_arena_alloc(size_t bytes);
uint64_t nb_arena_mapped_bytes(void);
bool nb_arena_overlaps(uint64_t start, uint64_t end);
bool nb_arena_owns(uint64_t addr);

#endif /* NB_ARENA_H */
