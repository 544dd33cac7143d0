/* SPDX-License-Identifier: MIT */
/*
 * The subcommands of numabal.  Each takes its own name as argv[0] and returns
 * the exit status.
 */
#ifndef NB_CMD_H
#define NB_CMD_H

int cmd_topo(int argc, char **argv);

#endif /* NB_CMD_H */
