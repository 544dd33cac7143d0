/* SPDX-License-Identifier: MIT */
/*
 * torture [-s SECONDS] [-r ROUNDS] [-t THREADS] [-x SEED] [-o GROUP] [-e]:
 * at least that many seconds and rounds; with -e no further than the first
 * thing that is wrong.  The checksum is over the first
 * ROUNDS rounds of each worker.  Exit status 1 when anything was wrong.
 */
#include "torture.h"

#include <stdio.h>
#include <sys/stat.h>

#define MAX_WORKERS 64
#define MAX_OPS 128
#define COMPLAINTS 40

unsigned int nr_workers = 16;
_Atomic unsigned long nr_errors;
__thread struct worker *me;

static unsigned long seconds, rounds = 20, seed = 1;
static const char *only;
static bool only_first; /* error: it ends with that */
static long end_ms;
static struct op ops[MAX_OPS];
static unsigned int nr_ops;
static char top[200];

void complain(const char *file, int line, const char *what, long got)
{
	int err = errno;

	if (atomic_fetch_add(&nr_errors, 1) < COMPLAINTS)
		dprintf(2,
			"WRONG %s:%d: %s: got %ld, errno %d%s; worker %d, "
			"round %lu\n",
			file, line, what, got, err,
			err == EFAULT ? " EFAULT" : "", me ? (int)me->id : -1,
			me ? (unsigned long)me->round : 0);
	if (only_first)
		_exit(1);
	errno = err;
}

static void add_ops(const char *group, const struct op *list)
{
	for (; list->name; list++) {
		if (only && strcmp(only, group) && strcmp(only, list->name))
			continue;
		if (nr_ops == MAX_OPS)
			abort();
		ops[nr_ops++] = *list;
	}
}

static void shuffled(struct worker *w, unsigned char *order)
{
	for (unsigned int i = 0; i < nr_ops; i++)
		order[i] = (unsigned char)i;
	for (unsigned int i = nr_ops; i > 1; i--) {
		uint64_t k = below(w, i);
		unsigned char was = order[i - 1];

		order[i - 1] = order[k];
		order[k] = was;
	}
}

static void round_of(struct worker *w)
{
	unsigned char *order = get(nr_ops);

	w->sum = 0;
	w->rng = mix(seed * 1000003 + w->id * 65537 + w->round);
	if (!(w->round & 7))
		kept_start(w);
	kept_round(w);
	shuffled(w, order);
	for (unsigned int i = 0; i < nr_ops; i++) {
		const struct op *op = &ops[order[i]];
		uint64_t rng = rnd(w);

		if (rng % op->every)
			continue;
		op->run(w);
		w->rng = rng; /* whatever it used */
		w->ops++;
	}
	free(order);
	if (w->round < rounds)
		w->total = mix(w->total ^ w->sum);
	w->round++;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	me = w;
	signals_thread(w->id & 1);
	w->peer = peer_start(w);
	while (w->round < rounds || now_ms() < end_ms)
		round_of(w);
	peer_end(w->peer);
	CHECK(kept_ok(w), w->id);
	signals_thread_end();
	return NULL;
}

static struct worker *new_worker(unsigned int id)
{
	struct worker *w = get(sizeof(*w));
	char name[32];

	memset(w, 0, sizeof(*w));
	w->id = id;
	w->dir = top;
	snprintf(name, sizeof(name), "%u", id);
	w->dir = path_of(w, name);
	MUST(mkdir(w->dir, 0700));
	return w;
}

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "s:r:t:x:o:e")) != -1)
		switch (c) {
		case 's':
			seconds = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			rounds = strtoul(optarg, NULL, 0);
			break;
		case 't':
			nr_workers = (unsigned int)strtoul(optarg, NULL, 0);
			break;
		case 'x':
			seed = strtoul(optarg, NULL, 0);
			break;
		case 'o':
			only = optarg;
			break;
		case 'e':
			only_first = true;
			break;
		default:
			exit(2);
		}
	if (!nr_workers || nr_workers > MAX_WORKERS)
		exit(2);
}

static void all_ops(void)
{
	add_ops("files", file_ops);
	add_ops("sockets", socket_ops);
	add_ops("wait", wait_ops);
	add_ops("locks", lock_ops);
	add_ops("signals", signal_ops);
	add_ops("maps", map_ops);
	add_ops("forks", fork_ops);
	add_ops("threads", thread_ops);
	add_ops("ipc", ipc_ops);
}

int main(int argc, char **argv)
{
	uint64_t sum = 0, done = 0, all_rounds = 0;
	struct worker *w[MAX_WORKERS];

	parse(argc, argv);
	all_ops();
	snprintf(top, sizeof(top), "%s/torture-XXXXXX",
		 getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
	if (!nr_ops || !mkdtemp(top))
		return 2;
	signals_start();
	end_ms = now_ms() + (long)seconds * 1000;
	for (unsigned int i = 0; i < nr_workers; i++)
		w[i] = new_worker(i);
	for (unsigned int i = 0; i < nr_workers; i++)
		if (pthread_create(&w[i]->thread, NULL, worker_main, w[i]))
			return 2;
	for (unsigned int i = 0; i < nr_workers; i++) {
		CHECK(!pthread_join(w[i]->thread, NULL), i);
		sum = mix(sum ^ w[i]->total);
		done += w[i]->ops;
		all_rounds += w[i]->round;
		if (rmdir(w[i]->dir))
			complain(__FILE__, __LINE__, "folder not empty", i);
	}
	rmdir(top);
	printf("operations %lu rounds %lu signals %lu errors %lu\n",
	       (unsigned long)done, (unsigned long)all_rounds,
	       (unsigned long)signals_seen(), atomic_load(&nr_errors));
	printf("checksum %016lx\n", (unsigned long)sum);
	return atomic_load(&nr_errors) ? 1 : 0;
}
