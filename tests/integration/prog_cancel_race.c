/* SPDX-License-Identifier: MIT */
/*
 * pthread_cancel(3) and one call, as close to each other as can be.  Knows
 * nothing of numabal; run by test_guard_cancel.sh.
 *
 *	blocks N [async]	a call that blocks for ever: a thread that is
 *				cancelled right before it, or in it, must not
 *				stay there
 *	keeps N			a call that has had an effect: a thread that is
 *				cancelled meanwhile must know of it.  Not so in
 *				glibc before 2.41, whatever one does: 77 there
 *
 * The memory that the call hands over is another page each time, so that it
 * may be armed, and making it accessible takes its time.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

#define PAGE 4096UL
#define PAGES 2048UL
#define BYTES 2048
#define VECTOR 1024 /* IOV_MAX */

#define READ(x) __atomic_load_n(&(x), __ATOMIC_ACQUIRE)
#define WRITE(x, v) __atomic_store_n(&(x), v, __ATOMIC_RELEASE)

static int ends[2], cleaned, started, async;
static long got; /* bytes that the thread knows that it has read */
static char *mem;
static unsigned int seed = 4711;

static void clean(void *arg)
{
	(void)arg;
	cleaned++;
}

static void spin(int n)
{
	while (n--)
		__asm__ volatile("");
}

/*
 * A call that takes long to look through before it is made, so that it is easy
 * to be cancelled on the way there.
 */
static void call_many(char *p)
{
	static struct iovec iov[VECTOR];

	for (int i = 0; i < VECTOR; i++)
		iov[i] = (struct iovec){p + i, 1};
	WRITE(started, 1);
	got += readv(ends[0], iov, VECTOR);
}

static void call_few(char *p)
{
	WRITE(started, 1);
	got += read(ends[0], p, 100);
}

static void *call_once(void *arg)
{
	size_t round = (size_t)arg;
	char *p = mem + round % PAGES * PAGE;

	pthread_cleanup_push(clean, NULL);
	if (async)
		pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	if (round % 4)
		call_many(p);
	else
		call_few(p);
	pthread_cleanup_pop(0);
	return NULL;
}

static void *call_on(void *arg)
{
	char *p = mem + (size_t)arg % PAGES * PAGE;

	pthread_cleanup_push(clean, NULL);
	WRITE(started, 1);
	for (;;) {
		ssize_t n = read(ends[0], p, 1);

		/* No call that can be cancelled in between. */
		if (n > 0)
			WRITE(got, got + n);
	}
	pthread_cleanup_pop(0);
	return NULL;
}

static int end_of(pthread_t th, long round)
{
	void *res;

	pthread_cancel(th);
	pthread_join(th, &res);
	if (res == PTHREAD_CANCELED && cleaned == 1)
		return 0;
	fprintf(stderr, "round %ld: cleaned %d times\n", round, cleaned);
	return 1;
}

static int begin(pthread_t *th, void *(*fn)(void *), long round)
{
	cleaned = 0;
	got = 0;
	WRITE(started, 0);
	if (pthread_create(th, NULL, fn, (void *)round))
		return 97;
	while (!READ(started))
		;
	spin(rand_r(&seed) % 8192 >> rand_r(&seed) % 8);
	return 0;
}

static int blocks(long rounds)
{
	pthread_t th;

	for (long i = 0; i < rounds; i++)
		if (begin(&th, call_once, i) || end_of(th, i))
			return 1;
	return 0;
}

/* Bytes are read, or still there. */
static int keeps(long rounds)
{
	char buf[BYTES] = "";
	pthread_t th;
	int left;

	for (long i = 0; i < rounds; i++) {
		if (write(ends[1], buf, BYTES) != BYTES ||
		    begin(&th, call_on, i) || end_of(th, i) ||
		    ioctl(ends[0], FIONREAD, &left))
			return 1;
		if (got + left != BYTES) {
			fprintf(stderr, "round %ld: %d left, %ld known\n", i,
				left, got);
			return 1;
		}
		if (left && read(ends[0], buf, (size_t)left) != left)
			return 1;
	}
	return 0;
}

/* glibc 2.41 mended what it had been told of in 2010. */
static int loses(void)
{
#ifdef __GLIBC__
	int major = 0, minor = 0;

	return sscanf(gnu_get_libc_version(), "%d.%d", &major, &minor) == 2 &&
	       major == 2 && minor < 41;
#else
	return 0;
#endif
}

int main(int argc, char **argv)
{
	long rounds = argc > 2 ? atol(argv[2]) : 0;

	mem = (char *)mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!rounds || mem == MAP_FAILED || pipe(ends))
		return 97;
	memset(mem, 1, PAGES * PAGE);
	async = argc > 3 && !strcmp(argv[3], "async");
	if (!strcmp(argv[1], "blocks"))
		return blocks(rounds);
	if (strcmp(argv[1], "keeps"))
		return 97;
	return loses() ? 77 : keeps(rounds);
}
