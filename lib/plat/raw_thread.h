/* SPDX-License-Identifier: MIT */
/*
 * A thread that libc does not know of: no lock of libc's is taken to make it,
 * so it can be made in the middle of malloc(3).
 */
#ifndef NB_RAW_THREAD_H
#define NB_RAW_THREAD_H

#include "../base/util.h"

#include <stdatomic.h>

struct nb_raw_thread {
	void *area;
	size_t bytes;
	_Atomic uint32_t tid; /* cleared by the kernel when it is gone */
};

uint64_t nb_static_tls_bytes(void);
bool nb_raw_thread_supported(void);
int nb_raw_thread_create(struct nb_raw_thread *t, void (*fn)(void));
bool nb_raw_thread_join(struct nb_raw_thread *t, uint64_t timeout_ns);
void nb_raw_thread_forget(struct nb_raw_thread *t);

#endif /* NB_RAW_THREAD_H */
