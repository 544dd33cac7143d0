/* SPDX-License-Identifier: MIT */
/*
 * The torture program: threads that do every kind of system call on heap
 * memory and check every result.  It knows nothing of numabal.
 *
 * A worker does rounds; a round is all operations, each once or now and then,
 * in an order of its own.  What a worker does depends on the seed, its number
 * and the number of the round alone, and what it has seen is folded into a
 * checksum: it is the same in every run, whatever else happens.
 */
#ifndef TORTURE_H
#define TORTURE_H

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define NR_KEPT 48

struct kept {
	unsigned char *p;
	size_t bytes;
	uint64_t seed;
};

/* What a worker asks of its peer. */
enum job_kind {
	JOB_ECHO,    /* read @bytes from @in, write them to @out */
	JOB_SEND,    /* write @bytes of pattern @seed to @out */
	JOB_SINK,    /* read @bytes of pattern @seed from @in */
	JOB_CONNECT, /* to TCP port @in, then ECHO on that connection */
	JOB_DGRAM,   /* one message of pattern @seed to @out */
	JOB_POST,    /* sem_post(@sem) */
	JOB_SIGNAL,  /* @sig to thread @target */
	JOB_END,
};

struct job {
	enum job_kind kind;
	int in, out, sig;
	pthread_t target;
	size_t bytes;
	uint64_t seed;
	sem_t *sem;
	struct job *next;
};

struct peer {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t more, none;
	struct job *first;
	unsigned int pending;
};

struct worker {
	unsigned int id;
	uint64_t rng; /* of the round */
	uint64_t sum; /* of what was seen in it */
	uint64_t round;
	uint64_t ops;
	uint64_t total; /* of the rounds that count */
	pthread_t thread;
	struct kept kept[NR_KEPT];
	struct peer *peer;
	char *dir;
};

/* main.c */
extern unsigned int nr_workers;
extern _Atomic unsigned long nr_errors;
extern __thread struct worker *me;

void complain(const char *file, int line, const char *what, long got);

/* Everything that is not as it must be ends here; the run goes on. */
#define CHECK(ok, got)                                                         \
	do {                                                                   \
		if (!(ok))                                                     \
			complain(__FILE__, __LINE__, #ok, (long)(got));        \
	} while (0)

/* A call that must not fail. */
#define MUST(expr)                                                             \
	({                                                                     \
		long must_ = (long)(expr);                                     \
		if (must_ < 0)                                                 \
			complain(__FILE__, __LINE__, #expr, must_);            \
		must_;                                                         \
	})

/* One that a signal may interrupt. */
#define AGAIN(expr)                                                            \
	({                                                                     \
		long again_;                                                   \
		do                                                             \
			again_ = (long)(expr);                                 \
		while (again_ < 0 && errno == EINTR);                          \
		again_;                                                        \
	})

/* One that must fail with @want. */
#define FAILS(expr, want)                                                      \
	do {                                                                   \
		long fails_ = AGAIN(expr);                                     \
		CHECK(fails_ < 0 && errno == (want), fails_);                  \
	} while (0)

/* tools.c */
uint64_t mix(uint64_t x);
uint64_t rnd(struct worker *w);
uint64_t below(struct worker *w, uint64_t n);
void note(struct worker *w, uint64_t v);
void fill(void *p, size_t bytes, uint64_t seed);
bool same(const void *p, size_t bytes, uint64_t seed);
uint64_t hash(const void *p, size_t bytes);
void *get(size_t bytes); /* from the heap, with something in it */
void *get_filled(size_t bytes, uint64_t seed);
void full_read(int fd, void *p, size_t bytes);
void full_write(int fd, const void *p, size_t bytes);
char *path_of(struct worker *w, const char *name);
long now_ms(void);
void kept_start(struct worker *w);
void kept_round(struct worker *w);
bool kept_ok(const struct worker *w);

/* peer.c */
struct peer *peer_start(struct worker *w);
void peer_end(struct peer *p);
void peer_do(struct peer *p, const struct job *job);
void peer_wait(struct peer *p);

/* signals.c */
void signals_start(void);
void signals_thread(bool alt);
void signals_thread_end(void);
uint64_t signals_seen(void);
int signals_counter(void); /* a signal that is counted from here on, ... */
int signals_counted(void); /* ... in this thread */

struct op {
	const char *name;
	void (*run)(struct worker *w);
	unsigned int every; /* one of so many rounds */
};

extern const struct op file_ops[], socket_ops[], wait_ops[], lock_ops[];
extern const struct op signal_ops[], map_ops[], fork_ops[], thread_ops[];
extern const struct op ipc_ops[];

#endif /* TORTURE_H */
