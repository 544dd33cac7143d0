# SPDX-License-Identifier: MIT
#
# demo_perf.awk FILES: where the threads and the private
# pages of some processes are, as lines like those of `work_private --map`.
#
# FILES are, for each process, its numa_maps and the stat of its threads; -v
# nodes= names the cpulist files below /sys/devices/system/node. Of the
# mappings only large private anonymous ones count: the data that the process
# works on. Called by demo_lib.sh for perf bench numa, which does not tell.

BEGIN {
	dir = "/sys/devices/system/node/"
	n = split(nodes, file, " ")
	for (i = 1; i <= n; i++) {
		nid = substr(file[i], 5) + 0
		if (nid > max_nid)
			max_nid = nid
		while ((getline list < (dir file[i])) > 0)
			add_cpus(list, nid)
	}
}

function add_cpus(list, nid,	part, ends, i, c, nr) {
	nr = split(list, part, ",")
	for (i = 1; i <= nr; i++) {
		split(part[i] "-" part[i], ends, "-")
		for (c = ends[1] + 0; c <= ends[2] + 0; c++)
			node_of[c] = nid
	}
}

FNR == 1 { split(FILENAME, path, "/"); pid = path[3] }

FILENAME ~ /numa_maps$/ {
	if (!/ anon=/ || / file=/ || / stack/ || / heap/)
		next
	total = 0
	for (i = 3; i <= NF; i++)
		if ($i ~ /^N[0-9]+=/)
			total += substr($i, index($i, "=") + 1)
	if (total < 2048)
		next
	for (i = 3; i <= NF; i++)
		if ($i ~ /^N[0-9]+=/) {
			split(substr($i, 2), kv, "=")
			pages[pid, kv[1] + 0] += kv[2]
		}
	sum[pid] += total
	next
}

# The name may hold spaces: count from its closing parenthesis.
/\(numabald\)/ || !/\) [RSD] / { next }
{
	# The main thread of each process only waits for the others.
	if (path[5] == pid)
		next
	sub(/.*\) /, "")
	printf "MAP when=- thread=%d team=%d node=%d buffer=%d pages=[",
		nr_threads++, team_of(pid), node_of[$37], team_of(pid)
	for (nid = 0; nid <= max_nid; nid++)
		printf "%s%d", nid ? "," : "", pages[pid, nid]
	printf "] total= %d\n", sum[pid]
}

function team_of(p) {
	if (!(p in team))
		team[p] = nr_teams++
	return team[p]
}
