#!/bin/sh
# The demo of `make demo`: a workspace on a copy of this repository, and the proposals of testdata/demo in its inbox.
#
# usage: demo.sh [DIR]
#
# DIR must not exist; without it a temporary folder is made. It is kept. $SHERATAN is the program, by default
# bin/sheratan of this repository. Only a shell and Go are needed; git is used where it is there.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd -P)
program=${SHERATAN:-$here/bin/sheratan}
sheratan() { "$program" "$@"; }
demo=$here/testdata/demo

if [ $# -gt 0 ]; then
	mkdir "$1" && dir=$(cd "$1" && pwd -P)
else
	dir=$(mktemp -d) && dir=$(cd "$dir" && pwd -P)
fi
repo=$dir/repo
unset SHERATAN_WORKSPACE

heading() { printf '\n── %s\n\n' "$*"; }
say() { printf '%s\n' "$*"; }

# run CODE COMMAND shows a command and what it prints, and fails where it exits otherwise than with CODE.
run() {
	want=$1 got=0
	printf '$ %s\n' "$2"
	eval "$2" 2>&1 || got=$?
	[ "$got" -eq "$want" ] || { say "demo: exit code $got, want $want"; exit 1; }
	echo
}

heading "A workspace whose root is a copy of this repository"
mkdir "$repo"
if git -C "$here" rev-parse --verify -q HEAD >/dev/null 2>&1; then
	git -C "$here" archive HEAD | tar -xf - -C "$repo"
else
	(cd "$here" && tar -cf - --exclude=./bin --exclude=./.git .) | tar -xf - -C "$repo"
fi
cd "$repo"
run 0 'sheratan init sheratan --root .'
cd sheratan

# What the demo allows beyond the defaults, as an operator would write it with an editor.
cp -R "$demo/bin" "$dir/bin"
mkdir "$dir/outside"
config=config/sheratan.json
sed -e 's|"sources": {|"sources": { "agent": { "max_jobs_per_minute": 600, "max_concurrent_jobs": 5, "max_priority": "high" },|' \
	-e 's|"manual": \["file_write", "file_edit", "file_patch"\]|"manual": ["file_write", "file_edit"]|' \
	-e 's|"forbid": \[\]|"forbid": ["file_patch"]|' \
	-e 's|"exec": \[|"exec": [ { "program": "'"$dir"'/bin/flaky", "args": [], "decision": "allow", "rerun": "safe", "write": true, "match": [["'"$dir"'/bin/flaky"]] },|' \
	-e 's|"scripts": false|"scripts": true|' $config >config.new
cat config.new >$config && rm config.new
say "This config differs from the one that init wrote in four places: source agent may start 600 jobs per minute"
say "instead of 10, bin/flaky may run and write, file_patch is forbidden, and approve may be used by this script, where it"
say "normally asks on a terminal."
echo
run 0 'sheratan config check'

heading "Proposals, as a language model writes them, dropped into the inbox with cp"
# The credential is made up here, so that none is in a file of the repository.
credential=ghp_$(od -An -N18 -tx1 /dev/urandom | tr -d ' \n')
inbox=runtime/inbox/agent
mkdir "$inbox" "$dir/proposals"
for f in "$demo"/proposals/*; do
	sed -e "s|@BIN@|$dir/bin|g" -e "s|@OUTSIDE@|$dir/outside|g" -e "s|@CREDENTIAL@|$credential|g" "$f" >"$dir/proposals/${f##*/}"
done
cp "$dir"/proposals/* "$inbox/"
ln -s /etc/passwd "$inbox/35-link.json"
ls -C -w 110 "$inbox" 2>/dev/null || ls -C "$inbox"

heading "One tick: gate, dispatch, run, commit"
say "A .json that does not parse may still be growing, and is left for two seconds: gate --settle waits for that."
echo
run 3 "sheratan gate --settle >$dir/gates.txt"
run 0 'sheratan tick'

heading "What ran"
run 0 'sheratan jobs --status completed,failed --columns file,status,took,retries,error,what'

heading "What waits"
run 0 'sheratan jobs --status pending,throttled,running --columns file,id,status,after'

heading "What was blocked, and why"
run 0 'sheratan jobs --status quarantined --columns file,reason'

heading "A job that needs an operator: a file is written"
run 0 'sheratan approve write-report --reason "seen in the demo"'
run 0 'sheratan tick'
run 0 'cat ../REPORT.md'

heading "A job without a rule: from refused to run"
run 0 'sheratan why disk-usage'
run 0 'sheratan policy suggest disk-usage'
run 0 'sheratan policy suggest disk-usage --write'
run 0 'sheratan gate --blocked disk-usage'
run 0 'sheratan tick'
run 0 'sheratan logs disk-usage'

heading "The whole story of a job, and the proof"
run 0 'sheratan why third-time-lucky'
run 0 'sheratan ledger verify'
if command -v git >/dev/null 2>&1; then
	run 0 'git -C runtime log --format="%h %s" -- outbox/ledger'
else
	say "git is not installed here; the ledger is a git repository all the same: $repo/sheratan/runtime/.git"
fi

heading "All of this is kept, to look around in"
say "cd $repo/sheratan && $program status"
