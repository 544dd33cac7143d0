/* SPDX-License-Identifier: MIT */
/*
 * An MPI program: messages of all sizes between ranks, in pairs, in rings and
 * by collective operations, from and to the heap, with sums that are compared.
 */
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_WORDS (1 << 18)
#define ROUNDS 60

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15ULL;
	return x ^ x >> 29;
}

static void fill(uint64_t *buf, int n, uint64_t seed)
{
	for (int i = 0; i < n; i++)
		buf[i] = mix(seed + (uint64_t)i);
}

static uint64_t sum_of(const uint64_t *buf, int n)
{
	uint64_t sum = 0;

	for (int i = 0; i < n; i++)
		sum = sum * 31 + buf[i];
	return sum;
}

int main(int argc, char **argv)
{
	uint64_t *out = malloc(MAX_WORDS * sizeof(*out));
	uint64_t *in = malloc(MAX_WORDS * sizeof(*in));
	uint64_t sum = 0, all = 0;
	int me, n;

	MPI_Init(&argc, &argv);
	MPI_Comm_rank(MPI_COMM_WORLD, &me);
	MPI_Comm_size(MPI_COMM_WORLD, &n);
	if (!out || !in)
		MPI_Abort(MPI_COMM_WORLD, 1);
	for (int r = 0; r < ROUNDS; r++)
		for (int words = 1; words <= MAX_WORDS; words *= 8) {
			MPI_Request req[2];

			fill(out, words, (uint64_t)(me * 1000 + r));
			MPI_Irecv(in, words, MPI_UINT64_T, (me + n - 1) % n, r,
				  MPI_COMM_WORLD, &req[0]);
			MPI_Isend(out, words, MPI_UINT64_T, (me + 1) % n, r,
				  MPI_COMM_WORLD, &req[1]);
			MPI_Waitall(2, req, MPI_STATUSES_IGNORE);
			sum += sum_of(in, words);
			MPI_Allreduce(out, in, words, MPI_UINT64_T, MPI_SUM,
				      MPI_COMM_WORLD);
			sum += sum_of(in, words);
			MPI_Bcast(out, words, MPI_UINT64_T, r % n,
				  MPI_COMM_WORLD);
			sum += sum_of(out, words);
		}
	MPI_Reduce(&sum, &all, 1, MPI_UINT64_T, MPI_SUM, 0, MPI_COMM_WORLD);
	if (!me)
		printf("%d ranks: %016llx\n", n, (unsigned long long)all);
	free(out);
	free(in);
	MPI_Finalize();
	return 0;
}
