#!/bin/bash
# SPDX-License-Identifier: MIT
#
# mariadb.sh with the server's own asynchronous I/O, where that is io_uring.
# packages: mariadb-server mariadb-client
# tier: off
# why: requests of io_uring use memory that no system call tells of
# min-faults: 0
# timeout: 180

NB_NATIVE_AIO=1 exec bash "${0%/*}/mariadb.sh"
