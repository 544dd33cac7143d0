/* SPDX-License-Identifier: MIT */
/*
 * Watch without acting: NUMABAL_F_OBSERVE and numabal_for_each_task().
 *
 * numabal takes its samples and decides as ever, but moves no page and no
 * thread. What it found says which node each thread would be best on: enough
 * to choose numactl's arguments, or to see that nothing would be gained.
 *
 * Exit status 1 when a page or a thread was moved all the same, or when the
 * threads were not seen using memory within the time.
 *
 * Build: cc observe.c $(pkg-config --cflags --libs numabal) -lpthread
 */
#include <numabal.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define NR_THREADS 2
#define SIZE ((size_t)16 << 20)
#define PATIENCE_S 30

static atomic_int stop;

static void *work(void *mem)
{
	/* pthread_create() made it; the library finds it, this is sooner. */
	if (numabal_thread_register())
		return NULL;
	for (int i = 0; !atomic_load(&stop); i++)
		memset(mem, i, SIZE);
	return NULL;
}

struct found {
	int nr_tasks, nr_seen;
	int print;
};

static int look(const struct numabal_task_stats *ts, void *arg)
{
	struct found *f = arg;

	f->nr_tasks++;
	f->nr_seen += ts->total_numa_faults > 0;
	if (f->print)
		printf("thread %d on node %d, prefers node %d, %llu faults\n",
		       (int)ts->tid, (int)ts->current_nid,
		       (int)ts->numa_preferred_nid,
		       (unsigned long long)ts->total_numa_faults);
	return 0; /* go on */
}

int main(void)
{
	struct numabal_opts opts = {
		.sz = sizeof(opts),
		.flags = NUMABAL_F_OBSERVE | NUMABAL_F_FORCE,
		.scan_delay_ms = 10,
		.scan_period_min_ms = 10,
		.min_rss_mb = 1,
	};
	struct numabal_stats st = {.sz = sizeof(st)};
	const struct timespec moment = {.tv_nsec = 50 * 1000 * 1000};
	time_t end = time(NULL) + PATIENCE_S;
	struct found f = {0};
	pthread_t thread[NR_THREADS];
	int err = numabal_start(&opts);

	for (int i = 0; !err && i < NR_THREADS; i++) {
		void *mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (mem == MAP_FAILED)
			return 1;
		err = numabal_include(mem, SIZE);
		if (pthread_create(&thread[i], NULL, work, mem))
			return 1;
	}
	while (!err && f.nr_seen < NR_THREADS && time(NULL) < end) {
		nanosleep(&moment, NULL);
		f = (struct found){0};
		err = numabal_for_each_task(look, &f);
	}
	if (err) {
		fprintf(stderr, "observe: %s\n", strerror(-err));
		return 1;
	}
	f = (struct found){.print = 1};
	numabal_for_each_task(look, &f);
	numabal_get_stats(&st);
	printf("%llu hint faults, %llu pages and %llu threads moved\n",
	       (unsigned long long)st.numa_hint_faults,
	       (unsigned long long)st.numa_pages_migrated,
	       (unsigned long long)st.numa_task_migrated);
	atomic_store(&stop, 1);
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(thread[i], NULL);
	err = numabal_stop();
	return err || f.nr_seen < NR_THREADS || st.numa_pages_migrated ||
	       st.numa_task_migrated;
}
