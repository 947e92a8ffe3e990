#!/bin/sh
# Runs testdata/script/criterion_01.txtar to _10.txtar, and prints a line for each: whether it holds, and what it says in its
# first line. The argument is the go command. What a failing one printed comes after the ten lines.
set -u
cd "$(dirname "$0")/.." || exit 1
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
"${1:-go}" test -count=1 -v ./cmd/sheratan -run 'TestScript/criterion_' >"$log" 2>&1
ended=$?
bad=0
for file in testdata/script/criterion_*.txtar; do
	name=$(basename "$file" .txtar)
	if grep -q -- "--- PASS: TestScript/$name " "$log"; then
		word=ok
	else
		word=FAILED bad=1
	fi
	printf '%s  %-6s  %s\n' "${name#criterion_}" "$word" "$(sed -n '1s/^# //p' "$file")"
done
if [ "$bad" -ne 0 ] || [ "$ended" -ne 0 ]; then
	cat "$log" >&2
	exit 1
fi
