// SPDX-License-Identifier: MIT
//
// Fibers of Boost.Context on stacks from the heap, with exceptions inside of
// them and fibers that are destroyed half-way.  Switching makes no system call.
// "prog_fiber storm": while signals are handled on their stacks, none of which
// may be lost.

#include <atomic>
#include <boost/context/fiber.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace ctx = boost::context;

namespace
{

int alive;
std::atomic<int> handled{0}, sent{0};
std::atomic<bool> over{false};

void on_signal(int)
{
	handled++;
}

/* One at a time: a second one that is pending would be merged with it. */
void storm(pthread_t to)
{
	while (!over) {
		pthread_kill(to, SIGUSR1);
		sent++;
		for (int i = 0; handled < sent; i++) {
			if (i > 200000)
				return;
			usleep(20);
		}
	}
}

struct Guard {
	std::unique_ptr<std::string> text{new std::string(500, 'x')};

	Guard()
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

std::uint64_t dig(ctx::fiber &back, std::vector<std::uint64_t> &v, int depth)
{
	Guard g;

	if (!depth) {
		back = std::move(back).resume();
		if (v[0] % 5 == 0)
			throw std::runtime_error(*g.text);
		return v.size();
	}
	v[static_cast<std::size_t>(depth)] += v[0];
	return dig(back, v, depth - 1) + g.text->size();
}

ctx::fiber make(std::uint64_t seed, std::uint64_t &sum)
{
	return ctx::fiber(
		std::allocator_arg, ctx::fixedsize_stack(64 * 1024),
		[seed, &sum](ctx::fiber &&from) {
			std::vector<std::uint64_t> v(1000, seed);
			ctx::fiber back = std::move(from);

			for (int i = 0; i < 40; i++) {
				try {
					sum += dig(back, v, i % 30);
				} catch (const std::runtime_error &e) {
					sum += std::string(e.what()).size();
				}
				v[0]++;
			}
			return back;
		});
}

} // namespace

int main(int argc, char **)
{
	std::vector<ctx::fiber> fibers;
	std::uint64_t sum = 0;
	std::thread sender;

	std::signal(SIGUSR1, on_signal);
	if (argc > 1)
		sender = std::thread(storm, pthread_self());
	for (std::uint64_t round = 0; round < 60; round++) {
		for (std::uint64_t i = 0; i < 200; i++)
			fibers.push_back(make(round * 7 + i, sum));
		/* Some end, the others are unwound when they are destroyed. */
		for (int turn = 0; turn < 45; turn++)
			for (std::size_t i = 0; i < fibers.size(); i++)
				if (fibers[i] && (i % 3 || turn < 20))
					fibers[i] =
						std::move(fibers[i]).resume();
		fibers.clear();
	}
	over = true;
	if (sender.joinable())
		sender.join();
	std::printf("sum %llu, left %d, lost signals %d\n",
		    static_cast<unsigned long long>(sum), alive,
		    sent - handled);
	return alive || sent != handled;
}
