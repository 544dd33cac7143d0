#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""unittests.py MODULE[:PATTERN]... [-TEST]...: run tests of Python's own suite.

PATTERN picks tests by a part of their name; a test named after '-' (a part of
its name, too) is left out.  Prints a line for each test, sorted: "ok NAME",
"skipped NAME" or "failed NAME".  What they say goes to standard error.
"""

import fnmatch
import os
import signal
import sys
import unittest

from test import support


class Result(unittest.TextTestResult):
    """Keeps a line for each test that ends."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.lines = []

    def note(self, what, test):
        self.lines.append(f"{what} {test.id()}")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.note("ok", test)

    def addExpectedFailure(self, test, err):
        super().addExpectedFailure(test, err)
        self.note("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.note("skipped", test)

    def addError(self, test, err):
        super().addError(test, err)
        self.note("failed", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.note("failed", test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err:
            self.note("failed", test)


def each(suite):
    if isinstance(suite, unittest.TestSuite):
        for part in suite:
            yield from each(part)
    else:
        yield suite


def wanted(name, pattern, left_out):
    if any(fnmatch.fnmatch(name, f"*{x}*") for x in left_out):
        return False
    return fnmatch.fnmatch(name, f"*{pattern}*")


def main():
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # In the background of a shell it is ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    left_out = [a[1:] for a in sys.argv[1:] if a.startswith("-")]
    suite = unittest.TestSuite()
    for arg in sys.argv[1:]:
        if arg.startswith("-"):
            continue
        module, _, pattern = arg.partition(":")
        loaded = unittest.defaultTestLoader.loadTestsFromName(module)
        suite.addTests(t for t in each(loaded)
                       if wanted(t.id(), pattern, left_out))
    support.use_resources = []
    runner = unittest.TextTestRunner(resultclass=Result, verbosity=2)
    result = runner.run(suite)
    print("\n".join(sorted(set(result.lines))), file=out, flush=True)
    sys.exit(not result.wasSuccessful())


if __name__ == "__main__":
    main()
