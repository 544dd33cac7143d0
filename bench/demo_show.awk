# SPDX-License-Identifier: MIT
#
# demo_show.awk: reads what demo_run.sh prints, shows progress while it comes
# and the tables and node maps of each workload when that is complete.
#
# -v tty=1 rewrites the progress line in place, -v color=1 uses colour, -v
# guest=1 marks speeds as not meant. Exit: 1 when numabal left work_private
# below 95 % local pages, or when that was never measured.

BEGIN {
	GOAL = 95
	nr_variants = split("unbalanced numabal kernel hand", variant, " ")
	label["unbalanced"] = "unbalanced"
	label["numabal"] = "numabal run"
	label["kernel"] = "kernel balancing"
	label["hand"] = "placed by hand"
	bold = color ? "\033[1m" : ""
	dim = color ? "\033[2m" : ""
	green = color ? "\033[32m" : ""
	red = color ? "\033[31m" : ""
	plain = color ? "\033[0m" : ""
}

function value(name,	s) {
	s = $0
	if (!sub("(^|.* )" name "=", "", s))
		return ""
	sub(/ .*/, "", s)
	return s
}

function flush_line() {
	if (ticking)
		printf "\r\033[K"
	ticking = 0
}

function tick(text) {
	if (!tty)
		return
	printf "\r\033[K   %s", text
	fflush()
	ticking = 1
}

# ---- what comes in ----

$1 == "@about" {
	if (w != "")
		show(w)
	w = $2
	sub(/^@about [^ ]* /, "")
	about[w] = $0
	printf "%s%s%s: %s\n", bold, w == "perf" ? "perf bench numa mem" : w,
		plain, $0
	fflush()
	next
}

$1 == "@run" {
	v = $3
	limit = $4
	seen[w, v] = 1
	sub(/^@run [^ ]* [^ ]* [^ ]* /, "")
	printf "  %-16s %s$ %s%s\n", label[v], dim, $0, plain
	fflush()
	next
}

$1 == "@skip" {
	key = $2 SUBSEP $3
	skip_name = $3
	sub(/^@skip [^ ]* [^ ]* /, "")
	skipped[key] = $0
	printf "  %-16s not run: %s\n", label[skip_name], $0
	next
}

$1 == "@end" {
	flush_line()
	if ($2 != 0) {
		failed[w, v] = $2
		printf "  %s%s ended with exit status %s%s\n", red, label[v],
			$2, plain
	}
	finish_perf()
	v = ""
	next
}

/^time=/ {
	ops[w, v, ++nr_ops[w, v]] = value("ops_per_s")
	tick(sprintf("%s %.0f of %d s: %s %% of pages local", label[v],
		value("time"), limit, value("local_pages_pct")))
	next
}

$1 == "MAP" {
	when = value("when")
	if (when != last_when) {
		nr_samples++
		last_when = when
		if (w == "perf")
			tick(label[v] " " when " of " limit " s")
	}
	# The first is "before", each later one replaces "after".
	put_map(nr_samples > 1 ? "end" : "start")
	next
}

function put_map(when,	t, p, n, i) {
	t = value("thread") + 0
	if (t == 0)
		nr_threads[w, v, when] = 0
	nr_threads[w, v, when]++
	node[w, v, when, t] = value("node") + 0
	p = value("pages")
	gsub(/[][]/, "", p)
	nr_nodes = n = split(p, count, ",")
	for (i = 1; i <= n; i++)
		pages[w, v, when, t, i - 1] = count[i]
}

$1 == "RESULT" {
	start[w, v] = value("start_pct")
	end[w, v] = value("local_pages_pct")
	to95[w, v] = value("time_to_95")
	nr_samples = 0
	last_when = ""
	next
}

/secs latency to NUMA-converge/ {
	latency[w, v] = $1
	converged[w, v] = $1 < limit
	next
}

# The rest of perf's report; anything else is a message: show it.
w == "perf" && (/^ *[0-9.]+ (secs|%|GB|nsecs)/ || /^ *#/ || /^$/) { next }
$0 != "" { flush_line(); print "  " $0 }

# ---- what goes out ----

function finish_perf() {
	if (w == "perf" && nr_samples) {
		start[w, v] = share(v, "start")
		end[w, v] = share(v, nr_samples > 1 ? "end" : "start")
	}
	nr_samples = 0
	last_when = ""
}

# Pages on the node of a thread that uses them, of all, in percent.
function share(v, when,	t, i, local, all) {
	for (t = 0; t < nr_threads[w, v, when]; t++)
		for (i = 0; i < nr_nodes; i++) {
			all += pages[w, v, when, t, i]
			if (node[w, v, when, t] == i)
				local += pages[w, v, when, t, i]
		}
	return all ? 100 * local / all : ""
}

# Work per second in the last third of a run.
function speed(v,	i, n, sum, from) {
	n = nr_ops[w, v]
	from = n - int(n / 3) + 1
	for (i = from; i <= n; i++)
		sum += ops[w, v, i]
	return n >= from ? sum / (n - from + 1) : 0
}

function percent(x) {
	return x == "" || x < 0 ? "-" : sprintf("%.1f %%", x)
}

function show(name,	i, base, s, mark) {
	w = name
	printf "\n  %-18s %s\n  %-18s %9s %9s   %s\n", "", "local pages", "",
		"at start", "at end", w == "perf" ? "threads converged after" \
		: "95 % after   work per second"
	base = speed("unbalanced")
	for (i = 1; i <= nr_variants; i++)
		show_row(variant[i], base)
	if (w != "perf" && guest)
		print "  Speeds are those of an emulated guest: behaviour only."
	if (w == "perf")
		print "  perf looks at threads alone, and ends the run when" \
			" each process is on one node:\n  that can also be" \
			" chance. Where the pages are, the demo looked itself."
	show_map("numabal")
	print ""
	fflush()
}

function show_row(v, base,	s) {
	if (!((w, v) in seen))
		return
	mark = v == "numabal" ? (end[w, v] >= GOAL ? green : red) : ""
	if (w == "perf")
		s = converged[w, v] ? latency[w, v] " s" : "never"
	else
		s = sprintf("%-12s %s", to95[w, v] == "" || to95[w, v] < 0 ? \
			"never" : sprintf("%.1f s", to95[w, v]),
			base ? sprintf("x %.2f", speed(v) / base) : "-")
	printf "  %s%-18s %9s %9s   %s%s\n", mark, label[v],
		percent(start[w, v]), percent(end[w, v]), s,
		mark == "" ? "" : plain
}

function cell(v, when, t, i,	n, all, j, s) {
	for (j = 0; j < nr_nodes; j++)
		all += pages[w, v, when, t, j]
	n = all ? int(WIDTH * pages[w, v, when, t, i] / all + 0.5) : 0
	s = node[w, v, when, t] == i ? "@" : " "
	for (j = 0; j < WIDTH; j++)
		s = s (j < n ? "#" : ".")
	return s
}

function map_line(v, when, t,	i, s) {
	for (i = 0; i < nr_nodes; i++)
		s = s (i ? " |" : "") cell(v, when, t, i)
	return s
}

function heads(	i, s) {
	for (i = 0; i < nr_nodes; i++)
		s = s sprintf("%-" (WIDTH + 1) "s", (nr_nodes > 4 ? " n" \
			: " node ") i) (i + 1 < nr_nodes ? "  " : "")
	return s
}

function show_map(v,	t, nr) {
	nr = nr_threads[w, v, "end"]
	if (!nr)
		return
	WIDTH = nr_nodes > 4 ? 4 : nr_nodes > 2 ? 5 : 10
	printf "\n  %s, before and after: @ the thread, # its pages\n\n",
		label[v]
	printf "  %-10s %-" length(heads()) "s    %s\n", "", heads(), heads()
	for (t = 0; t < nr && t < 16; t++)
		printf "  thread %-3d %s    %s\n", t, map_line(v, "start", t),
			map_line(v, "end", t)
	if (nr > t)
		printf "  ... and %d more\n", nr - t
}

END {
	flush_line()
	if (w == "")
		exit 1
	show(w)
	got = end["work_private", "numabal"]
	if (got == "") {
		print red "numabal run of work_private gave no result." plain
		exit 1
	}
	printf "%s%s: numabal run brought work_private to %s local pages" \
		" (goal %d %%).%s\n", got >= GOAL ? green : red,
		got >= GOAL ? "reached" : "NOT reached", percent(got), GOAL,
		plain
	exit got < GOAL
}
