# SPDX-License-Identifier: MIT
#
# demo_show.awk: reads what demo_run.sh prints, shows progress while it comes
# and the tables and node maps of each workload when that is complete.
#
# -v tty=1 rewrites the progress line in place, -v color=1 uses colour, -v
# guest=1 marks speeds as not meant. Exit: 2 when a run failed; 1 when numabal
# left work_private below 95 % local pages, or when that was never measured.

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
		nr_failed++
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
		judge()
		nr_samples++
		last_when = when
	}
	# The first is "before", each later one replaces "after".
	put_map(nr_samples > 1 ? "end" : "start")
	next
}

# perf bench numa does not tell where its pages are: look at each sample.
function judge(	pct) {
	if (w != "perf" || !nr_samples)
		return
	pct = share(v, nr_samples > 1 ? "end" : "start")
	if (nr_samples == 1)
		start[w, v] = pct
	end[w, v] = pct
	if (pct < GOAL)
		to95[w, v] = -1
	else if (to95[w, v] == "" || to95[w, v] < 0)
		to95[w, v] = last_when
	if (!apart(v, nr_samples > 1 ? "end" : "start"))
		together[w, v] = -1
	else if (together[w, v] == "" || together[w, v] < 0)
		together[w, v] = last_when
	tick(sprintf("%s %d of %d s: %.1f %% of pages local", label[v],
		last_when, limit, pct))
}

# What perf calls converged: each process on one node, on a node of its own.
function apart(v, when,	t, p, n, of, has) {
	for (t = 0; t < nr_threads[w, v, when]; t++) {
		n = node[w, v, when, t]
		p = process[w, v, when, t]
		if ((p in of) && of[p] != n || (n in has) && has[n] != p)
			return 0
		of[p] = n
		has[n] = p
	}
	return 1
}

function put_map(when,	t, p, n, i) {
	t = value("thread") + 0
	if (t == 0)
		nr_threads[w, v, when] = 0
	nr_threads[w, v, when]++
	node[w, v, when, t] = value("node") + 0
	process[w, v, when, t] = value("team")
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

/GB\/sec total speed/ { total[w, v] = $1; next }

# The rest of perf's report; anything else is a message: show it.
w == "perf" && (/^ *[0-9.]+ (secs|%|GB|nsecs)/ || /^ *#/ || /^$/) { next }
$0 != "" { flush_line(); print "  " $0 }

# ---- what goes out ----

function finish_perf() {
	judge()
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
	if (w == "perf")
		return total[w, v]
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
	printf "\n  %-18s %21s\n  %-18s %9s %11s    %-12s %s\n", "",
		"local pages", "", "at start", "at end", "95 % after",
		"work per second" (w == "perf" ? "  converged after" : "")
	base = speed("unbalanced")
	for (i = 1; i <= nr_variants; i++)
		show_row(variant[i], base)
	if (guest)
		print "  Work per second in an emulated guest: behaviour only."
	if (w == "perf")
		print "  Converged: each process on one node of its own, to the" \
			" end of the run."
	show_map("numabal")
	print ""
	fflush()
}

function show_row(v, base,	mark) {
	if (!((w, v) in seen))
		return
	mark = v == "numabal" ? (end[w, v] >= GOAL ? green : red) : ""
	printf "  %s%-18s %9s %11s    %-12s %s%s\n", mark, label[v],
		percent(start[w, v]), percent(end[w, v]), after(to95[w, v]),
		sprintf(w == "perf" ? "%-16s " after(together[w, v]) : "%s",
			base ? sprintf("x %.2f", speed(v) / base) : "-"),
		mark == "" ? "" : plain
}

function after(t) {
	return t == "" || t < 0 ? "never" : sprintf("%.0f s", t)
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
		s = s sprintf("%-" (WIDTH + 3) "s", (nr_nodes > 2 ? " n" \
			: " node ") i)
	return s
}

function show_map(v,	nr) {
	nr = nr_threads[w, v, "end"]
	if (!nr)
		return
	WIDTH = nr_nodes > 4 ? 4 : nr_nodes > 2 ? 5 : 10
	printf "\n  %s, before and after: @ the thread, # its pages\n",
		label[v]
	if (nr_nodes > 4) {
		rows(v, "start", "", nr)
		rows(v, "end", "", nr)
	} else {
		rows(v, "start", "end", nr)
	}
}

# One map, or two side by side.
function rows(v, left, right, nr,	t, head) {
	head = sprintf("  %-10s %s  %s", "", heads(), right ? heads() : "")
	sub(/ +$/, "", head)
	print "\n" head
	for (t = 0; t < nr && t < 16; t++)
		printf "  thread %-3d %s%s\n", t, map_line(v, left, t),
			right ? "    " map_line(v, right, t) : ""
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
	ok = got + 0 >= GOAL
	printf "%s%s: numabal run brought work_private to %s local pages" \
		" (goal %d %%).%s\n", ok ? green : red,
		ok ? "reached" : "NOT reached", percent(got), GOAL, plain
	exit nr_failed ? 2 : !ok
}
