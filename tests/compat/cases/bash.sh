#!/bin/bash
# SPDX-License-Identifier: MIT
#
# bash: substitutions, here-documents, traps, jobs, coprocesses, arrays.
# packages: bash
# tier: bracket
# min-faults: 300
# timeout: 120

# shellcheck disable=SC2086 # NB_RUN is words
set -eu -o pipefail
cat > t.sh << 'S'
set -u
trap 'echo "exit trap $?"' EXIT
declare -A count=()
while read -r w; do
	((count[${w:0:2}] += 1))
done < <(for i in {1..3000}; do echo "k$((i * 7919 % 101)) $i"; done)
for k in "${!count[@]}"; do echo "$k ${count[$k]}"; done | sort | cksum
big=$(printf 'line %s of a text that is long\n' {1..20000})
cksum <<< "$big"
cat << E | cksum
$big
$(echo "nested $(echo "deeper $(echo "deepest")")")
E
diff <(echo "$big" | sort) <(echo "$big" | sort -r) | wc -l
text=$big
for i in {1..30}; do text=${text//line $i of/LINE <$i> of}; done
cksum <<< "$text"
[[ $text =~ (LINE\ <[0-9]+>).*(long) ]] && echo "${BASH_REMATCH[1]}"

# signals
got=0
trap 'got=$((got + 1))' USR1
for i in {1..200}; do kill -USR1 $$; done
echo "got $got"
trap 'echo "term"; exit 5' TERM
(trap 'echo inner; exit 3' TERM; kill -TERM "$BASHPID"; echo no)
echo "inner $?"

# jobs
set -m
pids=()
for i in {1..8}; do (exit "$i") & pids+=($!); done
sum=0
for j in "${pids[@]}"; do wait "$j"; sum=$((sum + $?)); done
echo "jobs $sum"
sleep 1000 & p=$!
# Before that the child is the shell, with its traps.
until read -r name < "/proc/$p/comm" && [ "$name" = sleep ]; do :; done
kill -STOP "$p"; kill -CONT "$p"; kill "$p"
wait -f "$p" 2> /dev/null; echo "killed $?"
set +m

# coprocess
coproc C { while read -r l; do echo "${#l}"; done; }
p=$C_PID total=0
for i in {1..300}; do
	part=${big:0:$((i * 3))}
	echo "${part//$'\n'/ }" >&"${C[1]}"
	read -r n <&"${C[0]}"; total=$((total + n))
done
[ "$total" -gt 0 ] || exit 1
eval "exec ${C[1]}>&-"
wait "$p"
echo "coproc $total $?"

# pipes and many forks
for i in {1..60}; do echo "$i" | { read -r x; echo $((x * 2)); }; done | cksum
f() { local n=$1; ((n < 2)) && echo "$n" && return; echo $(($(f $((n - 1))) + $(f $((n - 2))))); }
f 9
mapfile -t lines <<< "$big"; echo "${#lines[@]}"
printf '%s\n' "${lines[@]:100:5000}" | cksum
timeout 20 bash -c 'exec 3<>/dev/null; ulimit -n; exit 7' > /dev/null; echo "end $?"
exit 4
S
$NB_RUN bash t.sh || echo "status $?"
