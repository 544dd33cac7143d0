#!/bin/bash
# SPDX-License-Identifier: MIT
#
# C++: exceptions and cancellation pass wrappers with their destructors run;
# an exception that nobody catches ends in std::terminate; a thread's backtrace
# has no frame of ours.

# shellcheck source=tests/integration/preload.sh
. "$(dirname "$0")/preload.sh"

type -P "${CXX:-g++}" > /dev/null || skip "no C++ compiler"
cat > "$tmp/cxx.cc" << 'END'
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <execinfo.h>
#include <pthread.h>
#include <stdexcept>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>

static int destroyed, ends[2];
static volatile bool reading;
struct guard {
	~guard() { destroyed++; }
};

static void *reader(void *)
{
	guard g;
	char c;

	reading = true;
	read(ends[0], &c, 1);
	return nullptr;
}

static void *depth(void *)
{
	void *frames[64];

	return reinterpret_cast<void *>(
		static_cast<long>(backtrace(frames, 64)));
}

static int compare(const void *, const void *)
{
	throw std::runtime_error("through C");
}

int main(int argc, char **argv)
{
	pthread_t th;
	void *res;
	size_t n = 8 << 20;
	char *p = static_cast<char *>(mmap(nullptr, n, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1,
					   0));

	memset(p, 1, n);
	if (argc > 1) {
		std::set_terminate([] { puts("terminate"); fflush(stdout);
					_exit(9); });
		std::thread([] { throw 1; }).join();
		return 1;
	}
	try {
		guard g;
		qsort(p, 4, 1, compare);
	} catch (std::exception &e) {
		printf("caught %s, destroyed %d\n", e.what(), destroyed);
	}
	if (pipe(ends))
		return 2;
	pthread_create(&th, nullptr, reader, nullptr);
	while (!reading)
		;
	usleep(10000);
	pthread_cancel(th);
	pthread_join(th, &res);
	printf("cancelled %d, destroyed %d\n", res == PTHREAD_CANCELED,
	       destroyed);
	pthread_create(&th, nullptr, depth, nullptr);
	pthread_join(th, &res);
	printf("depth %ld\n", reinterpret_cast<long>(res));
	return 0;
}
END
"${CXX:-g++}" -w -O1 -fexceptions -o "$tmp/cxx" "$tmp/cxx.cc" -lpthread ||
	skip "the C++ compiler does not work"
for mode in "" terminate; do
	want=$(plain timeout 20 "$tmp/cxx" $mode 2>&1; echo "status $?")
	got=$(balanced timeout 20 "$tmp/cxx" $mode 2>&1; echo "status $?")
	echo "$got"
	[ "$want" = "$got" ] || fail "C++ $mode: $got, want $want"
done
exit "$bad"
