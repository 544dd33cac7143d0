/* SPDX-License-Identifier: MIT */
/*
 * System calls by the bytes before them.
 */
#ifndef NB_GUARD_SHAPE_H
#define NB_GUARD_SHAPE_H

#include "image.h"

#define NB_NR_SIGRETURN 15
#define NB_NR_RUN_MAX 64 /* bytes from where a number is set to its call */

bool nb_shape_is_sigreturn(const struct nb_image *im, uint64_t vaddr);
bool nb_shape_is_call(const struct nb_image *im, uint64_t at);

#endif /* NB_GUARD_SHAPE_H */
