/* SPDX-License-Identifier: MIT */
/*
 * The subcommands of numabal.  Each takes its own name as argv[0] and returns
 * the exit status.
 */
#ifndef NB_CMD_H
#define NB_CMD_H

/* numabal failed before the program ran, or did not know what to do. */
#define NB_EXIT_FAILED 125

int cmd_run(int argc, char **argv);
int cmd_topo(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

/* run.c: where the library is, PATH_MAX bytes; says so if it is not there. */
int nb_find_preload(char *path);

#endif /* NB_CMD_H */
