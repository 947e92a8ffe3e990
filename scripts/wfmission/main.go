// Command wfmission makes a mission of a scientific workflow in WfFormat 1.5 (https://wfcommons.org): a task for each of its
// tasks, with the same dependencies, that sleeps as long as that one ran, scaled.
//
//	wfmission [-id ID] [-scale FACTOR | -seconds SECONDS -slots SLOTS] FILE
//
// With -seconds the scale is chosen so that no schedule on that many slots takes less: the longer one of the critical path and
// the work divided by the slots takes that time. On some numbers of slots no schedule comes near that, because the graph is narrow
// where the work is; without -slots the smallest power of two is taken on which one does. The mission goes to stdout, and one line of JSON about it to stderr. Its jobs need
// a rule for sleep:
//
//	{"program": "sleep", "args": ["[0-9]+\\.[0-9]+"], "decision": "allow", "rerun": "safe"}
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "wfmission:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	f := flag.NewFlagSet("wfmission", flag.ContinueOnError)
	f.SetOutput(stderr)
	id := f.String("id", "", "id of the mission; default the name of the workflow")
	scale := f.Float64("scale", 1, "seconds to sleep for each second that a task ran")
	seconds := f.Float64("seconds", 0, "choose the scale so that the best schedule takes this long")
	slots := f.Int("slots", 0, "slots of that schedule; 0 chooses")
	if err := f.Parse(args); err != nil {
		return err
	}
	if f.NArg() != 1 || *slots < 0 || *scale < 0 || *seconds < 0 {
		return fmt.Errorf("want one FILE, and no number below zero")
	}
	data, err := os.ReadFile(f.Arg(0))
	if err != nil {
		return err
	}
	w, err := read(data)
	if err != nil {
		return fmt.Errorf("%s: %w", f.Arg(0), err)
	}
	if *slots == 0 {
		*slots = w.enoughSlots()
	}
	if *seconds > 0 {
		*scale = *seconds / max(w.longest, w.work/float64(*slots))
	}
	if *id == "" {
		*id = clean(w.name, 20)
	}
	if err := json.NewEncoder(stderr).Encode(w.summary(*id, *scale, *slots)); err != nil {
		return err
	}
	enc := json.NewEncoder(stdout)
	enc.SetIndent("", " ")
	return enc.Encode(w.mission(*id, *scale))
}
