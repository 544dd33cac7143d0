#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Java (HotSpot): numabal steps back, the program runs unharmed.
# packages: default-jdk-headless
# tier: off
# min-faults: 0
# timeout: 180
# why: the virtual machine protects memory and takes SIGSEGV for itself

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
type -P java javac > /dev/null || { echo "no javac" && exit 77; }
cat > T.java << 'J'
import java.util.*;
import java.util.concurrent.*;
import java.util.stream.*;

class T {
	static int nulls = 0;
	static int len(String s) {
		try { return s.length(); } catch (NullPointerException e) { nulls++; return 0; }
	}
	static int deep(int n) { return n == 0 ? 0 : 1 + deep(n - 1); }
	public static void main(String[] a) throws Exception {
		ExecutorService ex = Executors.newFixedThreadPool(4);
		List<Future<Long>> all = new ArrayList<>();
		for (int t = 0; t < 8; t++) {
			final int s = t;
			all.add(ex.submit(() -> {
				Map<String, Integer> m = new HashMap<>();
				for (int i = 0; i < 200000; i++)
					m.merge("k" + (i * 31L + s) % 9973, i, Integer::sum);
				return m.values().stream().mapToLong(x -> x).sum();
			}));
		}
		long sum = 0;
		for (Future<Long> f : all) sum += f.get();
		ex.shutdown();
		System.out.println("sum " + sum);
		int total = 0;
		for (int i = 0; i < 100000; i++) total += len(i % 10 == 0 ? null : "abc");
		System.out.println("nulls " + nulls + " " + total);
		try { deep(100000000); } catch (StackOverflowError e) { System.out.println("overflow"); }
		System.gc();
		System.out.println(IntStream.range(0, 2000000).parallel().filter(i -> i % 7 == 3).count());
	}
}
J
javac T.java
$NB_RUN java -Xmx300m T
$NB_RUN java -Xmx300m -XX:+UseParallelGC T
$NB_RUN java -Xmx300m -Xint -XX:+UseSerialGC T
