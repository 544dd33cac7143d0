#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""figures.py DIR TIER MIN_FAULTS: what the processes of one run have to say.

Prints "TIER PROCESSES FAULTS HOLES", then a line for each thing that is not as
it should be. A process that stood down counts as one of tier "off".
"""

import glob
import json
import sys

TIERS = ["off", "conservative", "bracket"]


def main():
    folder, want, min_faults = sys.argv[1], sys.argv[2], int(sys.argv[3])
    faults = holes = 0
    tiers = {}
    wrong = []
    files = sorted(glob.glob(folder + "/*.json"))
    for path in files:
        with open(path) as f:
            s = json.load(f)
        who = f"{s['comm']} ({s['pid']})"
        tier = s["guard"]["tier"]
        if s["state"] == "stood-down":
            tier = "off"
        faults += s["counters"]["numa_hint_faults"]
        holes += s["guard"]["efault_holes"]
        tiers[tier] = tiers.get(tier, 0) + 1
        if s["guard"]["efault_holes"]:
            wrong.append(f"{who}: EFAULT where memory was armed: {s['why']}")
        if TIERS.index(tier) < TIERS.index(want):
            wrong.append(f"{who}: tier {tier}, {s['state']}: {s['why']}")
    if files and want not in tiers:
        wrong.append(f"no process of tier {want}")
    if not files:
        wrong.append("no process wrote statistics")
    if faults < min_faults:
        wrong.append(f"{faults} hint faults, at least {min_faults} wanted")
    shown = want if want in tiers else ",".join(sorted(tiers)) or "none"
    print(shown, len(files), faults, holes)
    for w in wrong:
        print(w)


if __name__ == "__main__":
    main()
