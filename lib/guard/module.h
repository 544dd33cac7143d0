/* SPDX-License-Identifier: MIT */
/*
 * The executable segments of modules, as what patch.c works on.
 */
#ifndef NB_GUARD_MODULE_H
#define NB_GUARD_MODULE_H

#include "../base/util.h"

int nb_modules_scan(void);
int nb_module_from_fd(int fd, uint64_t addr, uint64_t len, uint64_t offset);

#endif /* NB_GUARD_MODULE_H */
