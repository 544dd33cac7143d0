/* SPDX-License-Identifier: MIT */
/*
 * prog_refuse CALL[,CALL...] COMMAND [ARG...]: runs a command in which the
 * named system calls answer EPERM, as a container's seccomp profile does.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const char *name;
	int nr;
} calls[] = {
	{"move_pages", SYS_move_pages},
	{"mbind", SYS_mbind},
	{"set_mempolicy", SYS_set_mempolicy},
	{"get_mempolicy", SYS_get_mempolicy},
	{"sched_setaffinity", SYS_sched_setaffinity},
	{"membarrier", SYS_membarrier},
};

#define NR_CALLS (sizeof(calls) / sizeof(calls[0]))

int main(int argc, char **argv)
{
	struct sock_filter code[2 * NR_CALLS + 2];
	struct sock_fprog prog = {.filter = code};
	unsigned short n = 0;

	if (argc < 3)
		return 2;
	code[n++] = (struct sock_filter)BPF_STMT(
		BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < NR_CALLS; i++) {
		if (!strstr(argv[1], calls[i].name))
			continue;
		code[n++] = (struct sock_filter)BPF_JUMP(
			BPF_JMP | BPF_JEQ | BPF_K, (unsigned int)calls[i].nr, 0,
			1);
		code[n++] = (struct sock_filter)BPF_STMT(
			BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K,
						 SECCOMP_RET_ALLOW);
	prog.len = n;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog)) {
		perror("prog_refuse");
		return 77;
	}
	execvp(argv[2], argv + 2);
	perror(argv[2]);
	return 127;
}
