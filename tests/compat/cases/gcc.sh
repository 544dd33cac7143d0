#!/bin/bash
# SPDX-License-Identifier: MIT
#
# gcc under make -j: a project is built, all objects must be the same.
# packages: gcc make g++
# tier: bracket
# min-faults: 3000
# timeout: 400

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P gcc g++ make > /dev/null || { echo "no gcc, g++ or make" && exit 77; }
for i in {1..8}; do
	cat > "c$i.c" << C
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define F(n) static int f##n(int *p, int k) { int s = $i + n; \\
	for (int i = 0; i < k; i++) { s += p[i] * (n + i); \\
	if (s & 1) p[i] ^= s; else s -= p[(i * 7) % k]; } return s; }
$(for n in {1..120}; do echo "F($n)"; done)
int all$i(int *p, int k) { int s = 0;
$(for n in {1..120}; do echo "s += f$n(p, k);"; done)
return s; }
C
done
for i in {1..3}; do
	cat > "x$i.cc" << C
#include <algorithm>
#include <map>
#include <string>
#include <vector>
#include <regex>
template <int N> struct T { std::map<std::string, std::vector<T<N - 1>>> m;
	int f(const std::string &s) { return std::regex_match(s,
	std::regex("a[0-9]+$i")) + m.size() + T<N - 1>().f(s); } };
template <> struct T<0> { int f(const std::string &s) { return s.size(); } };
int cxx$i(const char *s) { return T<8>().f(s); }
C
done
{
	echo '#include <stdio.h>'
	for i in {1..8}; do echo "int all$i(int *, int);"; done
	echo 'int main(void) { int p[64], s = 0;'
	echo 'for (int i = 0; i < 64; i++) p[i] = i * i;'
	for i in {1..8}; do echo "s += all$i(p, 64);"; done
	printf '%s\n' 'printf("%d\n", s); return 0; }'
} > main.c
cat > Makefile << 'M'
all: prog libx.a
prog: main.o c1.o c2.o c3.o c4.o c5.o c6.o c7.o c8.o
	gcc -o $@ $^
libx.a: x1.o x2.o x3.o
	ar rcD $@ $^
%.o: %.c
	gcc -O2 -pipe -c -o $@ $<
%.o: %.cc
	g++ -O1 -g -fdebug-prefix-map=$(CURDIR)=. -c -o $@ $<
M
$NB_RUN make -s -j 2
sha256sum ./*.o prog libx.a
./prog
$NB_RUN gcc -O2 -flto=2 -o lto main.c c[1-8].c
./lto
