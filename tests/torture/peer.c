/* SPDX-License-Identifier: MIT */
/*
 * Every worker has a peer: a thread that is the other end of its pipes and
 * sockets, so that the worker's calls block.  Jobs go by a list in the heap
 * with a mutex and condition variables there.
 */
#include "torture.h"

#include <arpa/inet.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>

static void echo(int in, int out, size_t bytes)
{
	size_t room = bytes < 8000 ? bytes : 8000, done = 0;
	unsigned char *buf = get(room);

	while (done < bytes) {
		size_t want = bytes - done < room ? bytes - done : room;
		long n = AGAIN(read(in, buf, want));

		CHECK(n > 0, n);
		if (n <= 0)
			break;
		full_write(out, buf, (size_t)n);
		done += (size_t)n;
	}
	free(buf);
}

static void connect_and_echo(const struct job *j)
{
	struct sockaddr_in *to = get(sizeof(*to));
	int fd = (int)MUST(socket(AF_INET, SOCK_STREAM, 0));

	memset(to, 0, sizeof(*to));
	to->sin_family = AF_INET;
	to->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to->sin_port = htons((uint16_t)j->in);
	MUST(AGAIN(connect(fd, (struct sockaddr *)to, sizeof(*to))));
	free(to);
	echo(fd, fd, j->bytes);
	MUST(shutdown(fd, SHUT_WR));
	close(fd);
}

static void send_pattern(const struct job *j)
{
	unsigned char *p = get_filled(j->bytes, j->seed);

	if (j->kind == JOB_SEND) {
		full_write(j->out, p, j->bytes);
	} else {
		long n = AGAIN(send(j->out, p, j->bytes, 0));

		CHECK(n == (long)j->bytes, n);
	}
	free(p);
}

static void sink(const struct job *j)
{
	unsigned char *p = get(j->bytes);

	full_read(j->in, p, j->bytes);
	CHECK(same(p, j->bytes, j->seed), j->bytes);
	free(p);
}

static void run(const struct job *j)
{
	/* The worker should be waiting by now; if not, that is fine, too. */
	for (unsigned int i = 0; i < (j->seed & 7); i++)
		sched_yield();
	switch (j->kind) {
	case JOB_ECHO:
		echo(j->in, j->out, j->bytes);
		break;
	case JOB_SEND:
	case JOB_DGRAM:
		send_pattern(j);
		break;
	case JOB_SINK:
		sink(j);
		break;
	case JOB_CONNECT:
		connect_and_echo(j);
		break;
	case JOB_POST:
		MUST(sem_post(j->sem));
		break;
	case JOB_SIGNAL:
		CHECK(!pthread_kill(j->target, j->sig), j->sig);
		break;
	case JOB_END:
		break;
	}
}

static void *peer_main(void *arg)
{
	struct peer *p = arg;
	enum job_kind kind;

	signals_thread(true);
	do {
		struct job *j;

		pthread_mutex_lock(&p->lock);
		while (!p->first)
			pthread_cond_wait(&p->more, &p->lock);
		j = p->first;
		p->first = j->next;
		pthread_mutex_unlock(&p->lock);
		kind = j->kind;
		run(j);
		free(j);
		pthread_mutex_lock(&p->lock);
		if (!--p->pending)
			pthread_cond_broadcast(&p->none);
		pthread_mutex_unlock(&p->lock);
	} while (kind != JOB_END);
	signals_thread_end();
	return NULL;
}

struct peer *peer_start(struct worker *w)
{
	struct peer *p = get(sizeof(*p));

	(void)w;
	memset(p, 0, sizeof(*p));
	CHECK(!pthread_mutex_init(&p->lock, NULL), 0);
	CHECK(!pthread_cond_init(&p->more, NULL), 0);
	CHECK(!pthread_cond_init(&p->none, NULL), 0);
	CHECK(!pthread_create(&p->thread, NULL, peer_main, p), errno);
	return p;
}

void peer_do(struct peer *p, const struct job *job)
{
	struct job *j = get(sizeof(*j)), **at;

	*j = *job;
	j->next = NULL;
	pthread_mutex_lock(&p->lock);
	for (at = &p->first; *at; at = &(*at)->next)
		;
	*at = j;
	p->pending++;
	pthread_cond_signal(&p->more);
	pthread_mutex_unlock(&p->lock);
}

void peer_wait(struct peer *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->pending)
		pthread_cond_wait(&p->none, &p->lock);
	pthread_mutex_unlock(&p->lock);
}

void peer_end(struct peer *p)
{
	struct job end = {.kind = JOB_END};

	peer_do(p, &end);
	CHECK(!pthread_join(p->thread, NULL), 0);
	pthread_mutex_destroy(&p->lock);
	pthread_cond_destroy(&p->more);
	pthread_cond_destroy(&p->none);
	free(p);
}
