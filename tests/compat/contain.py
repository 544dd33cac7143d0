#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""contain.py SECONDS COMMAND...: run it, and leave no process behind.

What a command leaves (daemons, orphans) becomes a child of this process: it
has some seconds to end, and is killed then. Exit status: the command's; 124
when it took too long, 125 when something had to be killed after it.
"""

import ctypes
import os
import signal
import sys
import time

PR_SET_CHILD_SUBREAPER = 36
GRACE_S = 10


def children(pid):
    """Direct children, by what every process says of its parent."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat") as f:
                rest = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(rest[1]) == pid and rest[0] not in "ZX":
            found.append(int(name))
    return found


def descendants(pid):
    found = []
    for child in children(pid):
        found += [child] + descendants(child)
    return found


def read(pid, name):
    try:
        with open(f"/proc/{pid}/{name}") as f:
            return " ".join(f.read().split())
    except OSError:
        return "?"


def show(what, pids):
    for pid in pids:
        print(f"{what}: {pid} {read(pid, 'comm')}: {read(pid, 'wchan')},",
              f"syscall {read(pid, 'syscall')}", file=sys.stderr, flush=True)


def wait(pid, seconds):
    """Reap for so long, or until pid (None: everything) has ended."""
    end = time.monotonic() + seconds
    while True:
        try:
            got, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return None
        if got and got == pid:
            return os.waitstatus_to_exitcode(status)
        if not got:
            if time.monotonic() > end:
                return None
            time.sleep(0.02)


def kill_all():
    while pids := descendants(os.getpid()):
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait(None, 1)


def main():
    seconds, command = float(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    pid = os.fork()
    if not pid:
        os.setsid()
        os.execvp(command[0], command)
    status = wait(pid, seconds)
    if status is None:
        show("no end", descendants(os.getpid()))
        os.killpg(pid, signal.SIGTERM)
        wait(None, GRACE_S)
        kill_all()
        return 124
    wait(None, GRACE_S)
    left = descendants(os.getpid())
    if left:
        show("left behind", left)
        kill_all()
        return 125 if not status else status
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main())
