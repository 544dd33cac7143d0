/* SPDX-License-Identifier: MIT */
/*
 * Writing into memory that is executed, and room for stubs near to text.
 *
 * Text is written through /proc/thread-self/mem: no mapping is writable and
 * executable at any time, and the mappings of the program stay as they are.
 * Where the kernel refuses that, access is changed for the time of the write.
 * (thread-self: the process's own file is dead once the first thread ended.)
 *
 * Stubs must be within two GiB of the text that jumps to them.  Room is taken
 * where the program expects none to be: right below the module if possible,
 * never where a stack or the heap may grow.
 *
 * Owns nothing.  Called by patch.c.
 */
#include "code.h"

#include "../plat/maps.h"
#include "../plat/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

#define MEM_PATH "/proc/thread-self/mem"
#define PAGE 4096ULL
/* What a jump reaches, with a margin for where in both ranges it is. */
#define REACH ((1ULL << 31) - 16 * NB_MIB)
#define LOWEST NB_MIB		      /* of addresses to use */
#define HIGHEST ((1ULL << 47) - PAGE) /* first that cannot be used */
#define STACK_ROOM (1ULL << 30)	      /* below a stack: it may grow */
#define TRIES 16

/**
 * nb_code_open() - begin to write
 * @c: out
 *
 * Context: Any thread.
 */
void nb_code_open(struct nb_code *c)
{
	c->fd = nb_syscall6(SYS_openat, AT_FDCWD, (long)MEM_PATH,
			    O_RDWR | O_CLOEXEC, 0, 0, 0);
}

/**
 * nb_code_close() - end it
 * @c: of nb_code_open()
 *
 * Context: As nb_code_open().
 */
void nb_code_close(struct nb_code *c)
{
	if (c->fd >= 0)
		nb_syscall6(SYS_close, c->fd, 0, 0, 0, 0, 0);
	c->fd = -1;
}

static bool same(uint64_t addr, const uint8_t *bytes, uint64_t len)
{
	return memcmp((const void *)addr, bytes, len) == 0;
}

/* A debugger's way in: past what the mapping allows. */
static int write_mem(struct nb_code *c, uint64_t addr, const uint8_t *bytes,
		     uint64_t len)
{
	long n;

	while (len) {
		n = nb_syscall6(SYS_pwrite64, c->fd, (long)bytes, (long)len,
				(long)addr, 0, 0);
		if (n == -EINTR)
			continue;
		if (n <= 0)
			return n ? (int)n : -EIO;
		addr += (uint64_t)n;
		bytes += n;
		len -= (uint64_t)n;
	}
	return 0;
}

/*
 * The pages may hold functions of libc: they stay executable, and none is
 * called meanwhile (volatile: no memcpy).
 */
static int write_mprotect(uint64_t addr, const uint8_t *bytes, uint64_t len)
{
	uint64_t start = nb_align_down(addr, PAGE);
	uint64_t end = nb_align_up(addr + len, PAGE);
	volatile uint8_t *p = (volatile uint8_t *)addr;
	long ret;

	ret = nb_syscall6(SYS_mprotect, (long)start, (long)(end - start),
			  PROT_READ | PROT_WRITE | PROT_EXEC, 0, 0, 0);
	if (ret)
		return (int)ret;
	for (uint64_t i = 0; i < len; i++)
		p[i] = bytes[i];
	return (int)nb_syscall6(SYS_mprotect, (long)start, (long)(end - start),
				PROT_READ | PROT_EXEC, 0, 0, 0);
}

/**
 * nb_code_write() - write into readable and executable memory
 * @c: of nb_code_open(); remembers which way works
 * @addr: where to
 * @bytes: what
 * @len: how many bytes
 *
 * Context: No thread executes what is written, signal handlers included.
 * Return: 0 or -errno: then some of it may have been written.
 */
int nb_code_write(struct nb_code *c, uint64_t addr, const uint8_t *bytes,
		  uint64_t len)
{
	int ret;

	if (c->fd >= 0) {
		ret = write_mem(c, addr, bytes, len);
		if (!ret && same(addr, bytes, len))
			return 0;
		nb_code_close(c);
	}
	ret = write_mprotect(addr, bytes, len);
	if (!ret && !same(addr, bytes, len))
		ret = -EIO;
	return ret;
}

/**
 * nb_code_reaches() - can stubs be there?
 * @start: of the text
 * @end: of the text
 * @addr: of the stubs
 * @len: of the stubs
 *
 * Context: Anywhere.
 * Return: true if each jump from one to the other reaches.
 */
bool nb_code_reaches(uint64_t start, uint64_t end, uint64_t addr, uint64_t len)
{
	return nb_max(end, addr + len) - nb_min(start, addr) < REACH;
}

/* Looking for room. */
struct room {
	uint64_t start, end; /* of the text */
	uint64_t len;
	uint64_t free; /* end of the mapping before */
	uint64_t best; /* 0: none yet */
};

/*
 * @end: of a gap.  Addresses ascend, so below the text the last gap is the
 * nearest; above, the far end of a gap leaves room for what may grow into it.
 */
static void consider(struct room *r, uint64_t end)
{
	uint64_t gap = nb_max(r->free, LOWEST), at;

	if (gap >= r->end && r->best)
		return;
	end = nb_min(end, HIGHEST);
	if (gap >= r->end)
		end = nb_min(end, nb_align_down(r->start + REACH - 1, PAGE));
	if (end < gap || end - gap < r->len)
		return;
	at = end - r->len;
	if (nb_code_reaches(r->start, r->end, at, r->len))
		r->best = at;
}

static int next_mapping(const struct nb_vma *vma, const char *name, void *arg)
{
	struct room *r = arg;
	uint64_t keep = vma->flags & NB_VMA_STACK ? STACK_ROOM : 0;

	(void)name;
	if (vma->start > keep)
		consider(r, vma->start - keep);
	r->free = nb_max(r->free, vma->end);
	return 0;
}

static long map_at(uint64_t addr, uint64_t len)
{
	long got = nb_syscall6(SYS_mmap, (long)addr, (long)len,
			       PROT_READ | PROT_EXEC,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
				       MAP_FIXED_NOREPLACE,
			       -1, 0);

	if (got < 0 && got >= -4095)
		return got;
	if ((uint64_t)got == addr)
		return 0;
	/* A kernel before 4.17, which takes the address for a wish. */
	nb_syscall6(SYS_munmap, got, (long)len, 0, 0, 0, 0);
	return -EEXIST;
}

/**
 * nb_code_map_near() - map memory for stubs
 * @start: of the text
 * @end: of the text
 * @len: how much; a multiple of the page size
 * @addr: out: where it is
 *
 * Context: Any thread.
 * Return: 0 or -errno; -ENOMEM: no room near enough.
 */
int nb_code_map_near(uint64_t start, uint64_t end, uint64_t len, uint64_t *addr)
{
	long ret = -ENOMEM;

	for (int i = 0; i < TRIES; i++) {
		struct room r = {.start = start, .end = end, .len = len};

		ret = nb_maps_for_each(next_mapping, &r);
		if (ret)
			return (int)ret;
		consider(&r, HIGHEST);
		if (!r.best)
			return -ENOMEM;
		ret = map_at(r.best, len);
		/* Another thread was faster? */
		if (ret == -EEXIST)
			continue;
		if (ret)
			return (int)ret;
		nb_syscall6(SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME,
			    (long)r.best, (long)len, (long)"numabal stubs", 0);
		*addr = r.best;
		return 0;
	}
	return (int)ret;
}
