/* SPDX-License-Identifier: MIT */
/*
 * Alternate stacks no larger than the machine needs, and threads on the
 * smallest stacks, with all the vector state that this CPU has in use: frames
 * are as large as they get.  Armed memory is used in the handlers.  Knows
 * nothing of numabal; run by test_guard_frames.sh.
 */
#define _GNU_SOURCE
#include "armed.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif
/* What a handler and a thread need beyond a frame. */
#define SPARE 4096
/* So many that memory is armed again and again meanwhile. */
#define TURNS 2000

static unsigned char *buf;
static volatile int calls;
static volatile bool nested; /* there is room for two frames */

static void on_signal(int sig)
{
	calls++;
	for (size_t i = 0; i < BUF_BYTES; i += 64 * 4096)
		((volatile unsigned char *)buf)[i]++;
	if (sig == SIGUSR1 && nested)
		raise(SIGUSR2);
}

#ifdef __x86_64__

#define ARCH_REQ_XCOMP_PERM 0x1023

static bool has_tiles(void)
{
	return __builtin_cpu_supports("amx-tile") &&
	       !syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, 18);
}

/* Is the widest state the same after a signal?  True where there is none. */
__attribute__((target("avx512f,amx-tile"))) static bool kept(bool tiles)
{
	static uint8_t config[64]
		__attribute__((aligned(64))) = {[0] = 1, [16] = 64, [48] = 16};
	static uint8_t in[1024], out[1024], z[64], zout[64];
	bool wide = __builtin_cpu_supports("avx512f");

	for (int i = 0; i < 1024; i++)
		in[i] = (uint8_t)(i * 7 + 1);
	memcpy(z, in + 100, sizeof(z));
	if (tiles)
		__asm__ volatile(
			"ldtilecfg %0\ntileloadd (%1,%2,1), %%tmm0" ::"m"(
				config),
			"r"(in), "r"(64L));
	if (wide)
		__asm__ volatile("vmovdqu64 %0, %%zmm29" ::"m"(z) : "xmm29");
	syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
	if (wide)
		__asm__ volatile("vmovdqu64 %%zmm29, %0" : "=m"(zout));
	if (tiles)
		__asm__ volatile(
			"tilestored %%tmm0, (%0,%1,1)\ntilerelease" ::"r"(out),
			"r"(64L)
			: "memory");
	return (!wide || !memcmp(z, zout, sizeof(z))) &&
	       (!tiles || !memcmp(in, out, sizeof(in)));
}

#else

static bool has_tiles(void)
{
	return false;
}

static bool kept(bool tiles)
{
	(void)tiles;
	raise(SIGUSR1);
	return true;
}

#endif

static bool tiles;

static void *in_thread(void *arg)
{
	stack_t ss = {.ss_size = getauxval(AT_MINSIGSTKSZ) + SPARE};
	char *own = NULL;

	if (arg) {
		own = mmap(NULL, 65536, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		/* At its end: what is below must not be written to. */
		ss.ss_sp = own + 65536 - ss.ss_size;
		sigaltstack(&ss, NULL);
	}
	for (int i = 0; i < TURNS; i++)
		if (!kept(tiles))
			return "state was lost";
	for (char *p = own; own && p < (char *)ss.ss_sp; p++)
		if (*p)
			return "wrote below the stack";
	return NULL;
}

int main(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	size_t least = getauxval(AT_MINSIGSTKSZ);
	bool ok = true;

	buf = new_buffer(BUF_BYTES);
	if (!wait_armed(buf))
		return 1;
	tiles = has_tiles();
	for (int i = 0; i < 4; i++) {
		void *wrong = NULL;
		pthread_attr_t attr;
		pthread_t th;

		sa.sa_flags = i & 1 ? SA_ONSTACK : 0;
		nested = i < 3;
		sigaction(SIGUSR1, &sa, NULL);
		sa.sa_flags = 0;
		sigaction(SIGUSR2, &sa, NULL);
		pthread_attr_init(&attr);
		/* Two frames are on it, one of them at least. */
		pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN + 2 * least);
		if (pthread_create(&th, &attr, in_thread, i & 2 ? &sa : NULL) ||
		    pthread_join(th, &wrong))
			return 1;
		if (wrong)
			printf("%d: %s\n", i, (char *)wrong);
		ok = ok && !wrong;
	}
	printf("tiles %d, frames of %zu, %d calls\n", tiles, least, calls);
	return !ok || calls != 7 * TURNS;
}
