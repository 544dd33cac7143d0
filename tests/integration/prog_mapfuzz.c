/* SPDX-License-Identifier: MIT */
/*
 * Random changes of the address space by eight threads, each in a part of its
 * own, with a model of what every page must be: mapped or not, readable,
 * writable, and what is in it.  The program sees pages by touching them, with a
 * SIGSEGV handler of its own, and by handing them to the kernel.
 *
 * prog_mapfuzz SECONDS [SEED].  Knows nothing of numabal.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096UL
#define PAGES 512U /* of each thread: 2 MiB */
#define THREADS 8
/* Far below where the kernel puts mappings that may be anywhere. */
#define BASE 0x200000000000UL
#define STRIDE (64UL << 20)
#define MOVED (8UL << 20) /* where a thread's moving mapping may be */
#define MAX_MOVING 64U

enum kind { HOLE, ANON, FILED };

struct page {
	uint8_t kind, prot;
	uint64_t stamp; /* the word in its middle */
};

struct worker {
	pthread_t thread;
	unsigned int id;
	uint64_t rng, next_stamp, ops;
	unsigned char *base;
	struct page page[PAGES];
	/* one that grows, shrinks and moves */
	unsigned char *moving;
	unsigned int nr_moving;
	uint64_t moving_stamp[MAX_MOVING];
	/* the program's heap: the first thread's */
	unsigned int nr_brk;
	uint64_t brk_stamp[MAX_MOVING];
	unsigned char *brk_base;
};

static _Atomic bool stop, failed_once;
static int file, zero;
static __thread sigjmp_buf on_fault;
static __thread volatile bool probing;
static __thread void *volatile fault_addr;

#define FAIL(w, ...)                                                           \
	do {                                                                   \
		if (!atomic_exchange(&failed_once, true)) {                    \
			fprintf(stderr, "thread %u, op %lu: ", (w)->id,        \
				(w)->ops);                                     \
			fprintf(stderr, __VA_ARGS__);                          \
			fprintf(stderr, "\n");                                 \
			atomic_store(&stop, true);                             \
		}                                                              \
	} while (0)

static void handler(int sig, siginfo_t *info, void *uc)
{
	(void)uc;
	if (!probing) {
		signal(sig, SIG_DFL);
		return;
	}
	fault_addr = info->si_addr;
	siglongjmp(on_fault, 1);
}

static uint64_t rnd(struct worker *w, uint64_t n)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return w->rng % n;
}

static uint64_t *word(unsigned char *base, unsigned int i)
{
	return (uint64_t *)(base + i * PAGE + PAGE / 2);
}

static uint64_t file_stamp(unsigned int i)
{
	return 0xf11e000000000000UL + i;
}

/* A range of pages, short mostly. */
static unsigned int pick(struct worker *w, unsigned int *nr)
{
	unsigned int i = (unsigned int)rnd(w, PAGES);
	uint64_t max = rnd(w, 8) ? 16 : PAGES;

	*nr = 1 + (unsigned int)rnd(w, max);
	if (*nr > PAGES - i)
		*nr = PAGES - i;
	return i;
}

static bool has_hole(const struct worker *w, unsigned int i, unsigned int nr)
{
	for (unsigned int k = i; k < i + nr; k++)
		if (w->page[k].kind == HOLE)
			return true;
	return false;
}

/* ---- what is seen -------------------------------------------------------- */

static bool can_read(uint64_t *p, uint64_t *v)
{
	bool ok = false;

	probing = true;
	if (!sigsetjmp(on_fault, 1)) {
		*v = *(volatile uint64_t *)p;
		ok = true;
	}
	probing = false;
	return ok;
}

static bool can_write(uint64_t *p, uint64_t v)
{
	bool ok = false;

	probing = true;
	if (!sigsetjmp(on_fault, 1)) {
		*(volatile uint64_t *)p = v;
		ok = true;
	}
	probing = false;
	return ok;
}

static void see_by_hand(struct worker *w, unsigned int i)
{
	uint64_t *p = word(w->base, i), v = 0;
	struct page *pg = &w->page[i];

	if (can_read(p, &v) != !!(pg->prot & PROT_READ)) {
		FAIL(w, "page %u: kind %u prot %u: reading", i, pg->kind,
		     pg->prot);
		return;
	}
	if (pg->prot & PROT_READ && v != pg->stamp)
		FAIL(w, "page %u: %lx is in it, not %lx", i, v, pg->stamp);
	if (!(pg->prot & PROT_READ) && fault_addr != p)
		FAIL(w, "page %u: fault at %p", i, fault_addr);
	v = ++w->next_stamp;
	if (can_write(p, v) != !!(pg->prot & PROT_WRITE))
		FAIL(w, "page %u: kind %u prot %u: writing", i, pg->kind,
		     pg->prot);
	if (pg->prot & PROT_WRITE)
		pg->stamp = v;
}

static void see_by_kernel(struct worker *w, unsigned int i)
{
	struct page *pg = &w->page[i];
	uint64_t *p = word(w->base, i);
	bool ok = pread(zero, p, 8, 0) == 8;

	if (ok != !!(pg->prot & PROT_WRITE) || (!ok && errno != EFAULT))
		FAIL(w, "page %u: kind %u prot %u: read(2): %m", i, pg->kind,
		     pg->prot);
	if (ok)
		pg->stamp = 0;
}

/* ---- what is done -------------------------------------------------------- */

static void fill(struct worker *w, unsigned int i, unsigned int nr)
{
	for (; nr; nr--, i++) {
		struct page *pg = &w->page[i];

		if (!(pg->prot & PROT_WRITE))
			continue;
		pg->stamp = ++w->next_stamp;
		*(volatile uint64_t *)word(w->base, i) = pg->stamp;
	}
}

static void do_mmap(struct worker *w)
{
	static const int prots[] = {PROT_READ | PROT_WRITE, PROT_READ,
				    PROT_NONE, PROT_READ | PROT_WRITE};
	unsigned int nr, i = pick(w, &nr);
	int prot = prots[rnd(w, 4)];
	bool filed = !rnd(w, 4);
	void *at = w->base + i * PAGE;

	if (mmap(at, nr * PAGE, prot,
		 MAP_FIXED | MAP_PRIVATE | (filed ? 0 : MAP_ANONYMOUS),
		 filed ? file : -1, filed ? (off_t)(i * PAGE) : 0) != at)
		FAIL(w, "mmap: %m");
	for (unsigned int k = i; k < i + nr; k++)
		w->page[k] = (struct page){.kind = filed ? FILED : ANON,
					   .prot = (uint8_t)prot,
					   .stamp = filed ? file_stamp(k) : 0};
	if (rnd(w, 2))
		fill(w, i, nr);
}

static void do_munmap(struct worker *w)
{
	unsigned int nr, i = pick(w, &nr);

	if (munmap(w->base + i * PAGE, nr * PAGE))
		FAIL(w, "munmap: %m");
	memset(&w->page[i], 0, nr * sizeof(w->page[0]));
}

/* As the kernel: up to the first hole. */
static void do_mprotect(struct worker *w)
{
	static const int prots[] = {PROT_READ | PROT_WRITE, PROT_READ,
				    PROT_NONE, PROT_READ | PROT_WRITE};
	unsigned int nr, i = pick(w, &nr);
	int prot = prots[rnd(w, 4)];
	bool holes = has_hole(w, i, nr);
	int ret = mprotect(w->base + i * PAGE, nr * PAGE, prot);

	if (ret != (holes ? -1 : 0) || (ret && errno != ENOMEM))
		FAIL(w, "mprotect: %d %m", ret);
	for (unsigned int k = i; k < i + nr && w->page[k].kind != HOLE; k++)
		w->page[k].prot = (uint8_t)prot;
}

static void do_madvise(struct worker *w)
{
	static const int advice[] = {MADV_DONTNEED, MADV_DONTNEED,
				     MADV_HUGEPAGE, MADV_NOHUGEPAGE,
				     MADV_WILLNEED, MADV_DONTFORK};
	unsigned int nr, i = pick(w, &nr);
	int what = advice[rnd(w, 6)];
	int ret = madvise(w->base + i * PAGE, nr * PAGE, what);

	if (ret && (!has_hole(w, i, nr) || errno != ENOMEM))
		FAIL(w, "madvise %d: %m", what);
	for (unsigned int k = i; what == MADV_DONTNEED && k < i + nr; k++)
		w->page[k].stamp = w->page[k].kind == FILED ? file_stamp(k) : 0;
}

static void check_moving(struct worker *w)
{
	for (unsigned int i = 0; i < w->nr_moving; i++)
		if (*word(w->moving, i) != w->moving_stamp[i])
			FAIL(w, "moving page %u of %u: %lx, not %lx", i,
			     w->nr_moving, *word(w->moving, i),
			     w->moving_stamp[i]);
}

static void do_mremap(struct worker *w)
{
	unsigned int nr = 1 + (unsigned int)rnd(w, MAX_MOVING);
	unsigned char *to = w->base + MOVED + rnd(w, 8) * MAX_MOVING * PAGE;
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	check_moving(w);
	if (to == w->moving) {
		/* In place: what it grows into may be anybody's. */
		flags = 0;
		munmap(to + w->nr_moving * PAGE,
		       (MAX_MOVING - w->nr_moving) * PAGE);
	}
	if (mremap(w->moving, w->nr_moving * PAGE, nr * PAGE, flags, to) !=
	    to) {
		FAIL(w, "mremap of %u to %u pages: %m", w->nr_moving, nr);
		return;
	}
	w->moving = to;
	while (w->nr_moving < nr)
		w->moving_stamp[w->nr_moving++] = 0;
	w->nr_moving = nr;
	check_moving(w);
	for (unsigned int i = 0; i < nr; i += 1 + (unsigned int)rnd(w, 3)) {
		w->moving_stamp[i] = ++w->next_stamp;
		*word(to, i) = w->moving_stamp[i];
	}
}

static void do_brk(struct worker *w)
{
	unsigned int nr = (unsigned int)rnd(w, MAX_MOVING);
	long by = ((long)nr - (long)w->nr_brk) * (long)PAGE;

	for (unsigned int i = 0; i < w->nr_brk; i++)
		if (*word(w->brk_base, i) != w->brk_stamp[i])
			FAIL(w, "heap page %u", i);
	/* Nobody else uses it, or it is left alone. */
	if (sbrk(0) != w->brk_base + w->nr_brk * PAGE)
		return;
	if (sbrk(by) == (void *)-1)
		FAIL(w, "sbrk: %m");
	for (; w->nr_brk < nr; w->nr_brk++) {
		if (*word(w->brk_base, w->nr_brk))
			FAIL(w, "new heap page %u is not empty", w->nr_brk);
		w->brk_stamp[w->nr_brk] = ++w->next_stamp;
		*word(w->brk_base, w->nr_brk) = w->next_stamp;
	}
	w->nr_brk = nr;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&stop)) {
		unsigned int i = (unsigned int)rnd(w, PAGES);

		w->ops++;
		switch (rnd(w, 32)) {
		case 0 ... 1:
			do_mmap(w);
			break;
		case 2:
			do_munmap(w);
			break;
		case 3 ... 5:
			do_mprotect(w);
			break;
		case 6:
			do_madvise(w);
			break;
		case 7:
			do_mremap(w);
			break;
		case 8:
			if (!w->id)
				do_brk(w);
			break;
		case 9 ... 11:
			see_by_kernel(w, i);
			break;
		default:
			see_by_hand(w, i);
		}
	}
	for (unsigned int i = 0; i < PAGES; i++)
		see_by_hand(w, i);
	return NULL;
}

static bool set_up(struct worker *w, unsigned int id, uint64_t seed)
{
	w->id = id;
	w->rng = seed * 0x9e3779b97f4a7c15UL + id + 1;
	w->next_stamp = (uint64_t)(id + 1) << 48;
	w->base = (unsigned char *)(BASE + id * STRIDE);
	w->moving = w->base + MOVED;
	w->nr_moving = 4;
	if (!id)
		w->brk_base =
			(unsigned char *)(((uintptr_t)sbrk(0) + PAGE - 1) &
					  ~(PAGE - 1));
	if (!id && brk(w->brk_base))
		return false;
	return mmap(w->moving, w->nr_moving * PAGE, PROT_READ | PROT_WRITE,
		    MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0) == w->moving;
}

static bool open_files(void)
{
	char name[] = "/tmp/nb_mapfuzz_XXXXXX";
	uint64_t stamp;

	file = mkstemp(name);
	zero = open("/dev/zero", O_RDONLY);
	unlink(name);
	for (unsigned int i = 0; i < PAGES; i++) {
		stamp = file_stamp(i);
		if (pwrite(file, &stamp, 8, (off_t)(i * PAGE + PAGE / 2)) != 8)
			return false;
	}
	return !ftruncate(file, (off_t)(PAGES * PAGE)) && zero >= 0;
}

int main(int argc, char **argv)
{
	struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	static struct worker w[THREADS];
	long secs = argc > 1 ? strtol(argv[1], NULL, 10) : 5;
	uint64_t seed = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	uint64_t ops = 0;
	time_t until;

	if (!open_files() || sigaction(SIGSEGV, &sa, NULL))
		return 2;
	for (unsigned int i = 0; i < THREADS; i++)
		if (!set_up(&w[i], i, seed))
			return 2;
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&w[i].thread, NULL, work, &w[i]))
			return 2;
	for (until = time(NULL) + secs;
	     time(NULL) < until && !atomic_load(&stop);)
		usleep(20000);
	atomic_store(&stop, true);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(w[i].thread, NULL);
		ops += w[i].ops;
	}
	printf("seed %lu: %lu operations, %s\n", seed, ops,
	       atomic_load(&failed_once) ? "FAILED" : "fine");
	return atomic_load(&failed_once);
}
