// SPDX-License-Identifier: MIT
//
// Exceptions that cross threads, and threads that are cancelled in blocking
// calls: every destructor and cleanup handler must have run.

#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <exception>
#include <future>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <semaphore.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace
{

std::atomic<int> alive{0};

struct Guard {
	std::unique_ptr<std::string> text;

	explicit Guard(int n)
	    : text(new std::string(2000, static_cast<char>('a' + n % 26)))
	{
		alive++;
	}
	Guard(const Guard &) = delete;
	Guard &operator=(const Guard &) = delete;
	~Guard()
	{
		alive--;
	}
};

int deep(int n, int at)
{
	Guard g(n);

	if (n == at)
		throw std::runtime_error(*g.text + std::to_string(at));
	int r = deep(n + 1, at);
	return r + static_cast<int>(g.text->size());
}

// A worker throws, its starter catches what it threw.
long exceptions(int rounds)
{
	long sum = 0;

	for (int i = 0; i < rounds; i++) {
		std::vector<std::future<int>> all;

		for (int t = 0; t < 4; t++)
			all.push_back(std::async(std::launch::async, deep, 0,
						 10 + t));
		for (auto &f : all) {
			try {
				sum += f.get();
			} catch (const std::runtime_error &e) {
				sum += static_cast<long>(
					std::string(e.what()).size());
			}
		}
	}
	return sum;
}

struct Place {
	int fd[2];
	sem_t sem;
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
	std::atomic<int> ready{0};
	std::atomic<int> cleaned{0};
	int how = 0;
};

void cleanup(void *arg)
{
	static_cast<Place *>(arg)->cleaned++;
}

void unlock(void *arg)
{
	pthread_mutex_unlock(&static_cast<Place *>(arg)->mutex);
}

void block(Place *p)
{
	std::vector<char> buf(4096);

	switch (p->how) {
	case 0:
		while (read(p->fd[0], buf.data(), buf.size()) >= 0)
			;
		break;
	case 1:
		while (!sem_wait(&p->sem))
			;
		break;
	case 2:
		pthread_mutex_lock(&p->mutex);
		pthread_cleanup_push(unlock, p);
		for (;;)
			pthread_cond_wait(&p->cond, &p->mutex);
		pthread_cleanup_pop(1);
		break;
	default:
		for (;;)
			pause();
	}
}

void *blocked(void *arg)
{
	Place *p = static_cast<Place *>(arg);
	Guard g(p->how);

	pthread_cleanup_push(cleanup, p);
	p->ready = 1;
	block(p);
	pthread_cleanup_pop(0);
	return nullptr;
}

int cancel_one(int how)
{
	std::unique_ptr<Place> p(new Place);
	pthread_t t;
	void *end = nullptr;

	p->how = how;
	if (pipe(p->fd) || sem_init(&p->sem, 0, 0))
		return -1;
	if (pthread_create(&t, nullptr, blocked, p.get()))
		return -1;
	while (!p->ready)
		sched_yield();
	pthread_cancel(t);
	pthread_join(t, &end);
	close(p->fd[0]);
	close(p->fd[1]);
	sem_destroy(&p->sem);
	return end == PTHREAD_CANCELED ? p->cleaned.load() : -100;
}

} // namespace

int main()
{
	static const char *const names[] = {"read", "sem_wait", "cond_wait",
					    "pause"};

	std::printf("exceptions %ld, left %d\n", exceptions(5000),
		    alive.load());
	for (int how = 0; how < 4; how++) {
		int cleaned = 0;

		for (int i = 0; i < 1500; i++)
			cleaned += cancel_one(how);
		std::printf("cancelled in %s: %d cleaned, left %d\n",
			    names[how], cleaned, alive.load());
	}
	return alive.load() != 0;
}
