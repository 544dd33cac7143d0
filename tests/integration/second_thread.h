/* SPDX-License-Identifier: MIT */
/*
 * With NB_THREADS in the environment, a plain program has a second thread from
 * its start on: libcs make some calls in another way then. It waits for ever
 * and gets no signals.
 */
#ifndef SECOND_THREAD_H
#define SECOND_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static inline void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

__attribute__((constructor)) static void make_second_thread(void)
{
	sigset_t all, old;
	pthread_t th;

	if (!getenv("NB_THREADS"))
		return;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	if (pthread_create(&th, NULL, wait_for_ever, NULL))
		abort();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

#endif /* SECOND_THREAD_H */
