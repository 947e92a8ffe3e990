package main

import "slices"

// near is how close to what no schedule can do without enoughSlots wants a list schedule to come.
const near = 1.05

// mostSlots bounds what enoughSlots returns.
const mostSlots = 64

// enoughSlots is the smallest power of two, from 4, on which a list schedule comes near the longer one of the critical path and the
// work divided by the slots.
func (w *workflow) enoughSlots() int {
	for slots := 4; slots < mostSlots; slots *= 2 {
		if w.list(slots) <= near*max(w.longest, w.work/float64(slots)) {
			return slots
		}
	}
	return mostSlots
}

// list is how long a list schedule takes, in seconds: whenever a slot is free, the first of the tasks that may begin begins. It is
// what a runner can do that loses no time.
func (w *workflow) list(slots int) float64 {
	type running struct {
		end float64
		t   *task
	}
	place, left := map[*task]int{}, map[*task]int{}
	var ready []int
	for i, t := range w.tasks {
		place[t], left[t] = i, len(t.parents)
		if len(t.parents) == 0 {
			ready = append(ready, i)
		}
	}
	var now float64
	var busy []running // by their ends
	for len(ready)+len(busy) > 0 {
		for len(ready) > 0 && len(busy) < slots {
			r := running{now + w.tasks[ready[0]].seconds, w.tasks[ready[0]]}
			ready = ready[1:]
			at := slices.IndexFunc(busy, func(b running) bool { return b.end > r.end })
			if at < 0 {
				at = len(busy)
			}
			busy = slices.Insert(busy, at, r)
		}
		done := busy[0]
		busy, now = busy[1:], done.end
		for _, c := range done.t.children {
			if left[c]--; left[c] == 0 {
				at, _ := slices.BinarySearch(ready, place[c])
				ready = slices.Insert(ready, at, place[c])
			}
		}
	}
	return now
}
