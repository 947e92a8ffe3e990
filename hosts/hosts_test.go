package hosts_test

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sheratan/sheratan/hosts"
)

func host(id string, status hosts.Status, current, most int, capabilities ...string) hosts.Host {
	return hosts.Host{ID: id, Status: status, CurrentJobs: current, MaxConcurrent: most, Capabilities: capabilities}
}

func TestPick(t *testing.T) {
	tests := []struct {
		name   string
		hosts  []hosts.Host
		need   []string
		want   string // the id of the chosen host
		why    []string
		reason string // a part of it
	}{
		{"none", nil, nil, "", nil, "there is no host"},
		{"only one", []hosts.Host{host("local", hosts.Online, 1, 5, "exec")}, []string{"exec"}, "local",
			[]string{"1 of 5 slots taken"}, "local is the only host that can take it"},
		{"least loaded by share", []hosts.Host{host("a", hosts.Online, 2, 4), host("b", hosts.Online, 3, 10), host("c", hosts.Online, 1, 2)}, nil, "b",
			[]string{"2 of 4 slots taken", "3 of 10 slots taken", "1 of 2 slots taken"}, "b is the least loaded of 3 hosts"},
		{"equal share, fewer jobs", []hosts.Host{host("a", hosts.Online, 2, 6), host("b", hosts.Online, 1, 3)}, nil, "b", nil, "b is the least"},
		{"ties by id", []hosts.Host{host("b", hosts.Online, 0, 3), host("a", hosts.Online, 0, 5)}, nil, "a", nil, "a is the least"},
		{"no limit is no load", []hosts.Host{host("a", hosts.Online, 1, 100), host("b", hosts.Online, 500, 0)}, nil, "b",
			[]string{"1 of 100 slots taken", "500 jobs, no limit"}, "b is the least"},
		{"nobody can", []hosts.Host{
			host("off", hosts.Offline, 0, 5, "go"), host("full", hosts.Online, 5, 5, "go", "gpu"), host("busy", hosts.Busy, 1, 5, "go", "gpu"),
			host("plain", hosts.Online, 0, 5, "go"), host("odd", "drained", 0, 5, "go", "gpu")}, []string{"gpu", "go", "gpu"}, "",
			[]string{"is offline", "has no free slot (5 of 5)", "is busy", "does not offer gpu", "is drained"},
			"no host can take it: off is offline; full has no free slot (5 of 5); busy is busy; and 2 more"},
		{"a host is not chosen for being idle", []hosts.Host{host("idle", hosts.Online, 0, 5), host("able", hosts.Online, 4, 5, "gpu")}, []string{"gpu"}, "able",
			[]string{"does not offer gpu", "4 of 5 slots taken"}, "able is the only"},
	}
	for _, test := range tests {
		chosen, bids, reason := hosts.Pick(test.hosts, test.need)
		if chosen.ID != test.want || !strings.Contains(reason, test.reason) || len(bids) != len(test.hosts) {
			t.Errorf("%s: %q, %q, %v", test.name, chosen.ID, reason, bids)
		}
		for i, why := range test.why {
			if bids[i].Why != why || bids[i].Host != test.hosts[i].ID {
				t.Errorf("%s: bid %+v, want %s", test.name, bids[i], why)
			}
		}
	}
}

// TestPickLikeTwin compares with a twin that only says what the rule is, and checks that the order does not matter.
func TestPickLikeTwin(t *testing.T) {
	gen := rapid.Custom(func(t *rapid.T) hosts.Host {
		return host(rapid.StringMatching("[a-d]").Draw(t, "id"),
			rapid.SampledFrom([]hosts.Status{hosts.Online, hosts.Online, hosts.Busy, hosts.Offline}).Draw(t, "status"),
			rapid.IntRange(0, 6).Draw(t, "current"), rapid.IntRange(0, 6).Draw(t, "most"),
			rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 3).Draw(t, "capabilities")...)
	})
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfNDistinct(gen, 0, 4, func(h hosts.Host) string { return h.ID }).Draw(t, "hosts")
		need := rapid.SliceOfN(rapid.SampledFrom([]string{"x", "y", "z"}), 0, 2).Draw(t, "need")
		chosen, bids, _ := hosts.Pick(list, need)
		if want := twin(list, need); !reflect.DeepEqual(chosen, want) {
			t.Fatalf("chose %+v, want %+v", chosen, want)
		}
		for i, b := range bids {
			if able := twin(list[i:i+1], need).ID != ""; b.Eligible != able || b.Load != list[i].Load() || b.Why == "" {
				t.Fatalf("bid %+v of %+v", b, list[i])
			}
		}
		shuffled := slices.Clone(list)
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if again, _, _ := hosts.Pick(shuffled, need); !reflect.DeepEqual(chosen, again) {
			t.Fatalf("chose %+v, in another order %+v", chosen, again)
		}
	})
}

func twin(list []hosts.Host, need []string) hosts.Host {
	var best hosts.Host
	for _, h := range list {
		if h.Status != hosts.Online || h.MaxConcurrent > 0 && h.CurrentJobs >= h.MaxConcurrent {
			continue
		}
		able := true
		for _, c := range need {
			able = able && slices.Contains(h.Capabilities, c)
		}
		if !able {
			continue
		}
		share := func(h hosts.Host) float64 {
			if h.MaxConcurrent == 0 {
				return 0
			}
			return float64(h.CurrentJobs) / float64(h.MaxConcurrent)
		}
		near := math.Abs(share(h)-share(best)) < 1e-9
		if best.ID == "" || !near && share(h) < share(best) ||
			near && (h.CurrentJobs < best.CurrentJobs || h.CurrentJobs == best.CurrentJobs && h.ID < best.ID) {
			best = h
		}
	}
	return best
}

func TestLocalHost(t *testing.T) {
	capabilities := []string{"go", "exec", "go"}
	got := hosts.LocalHost(hosts.Local, 5, capabilities)
	want := host("local", hosts.Online, 0, 5, "exec", "go")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if capabilities[0] != "go" {
		t.Error("the argument was changed")
	}
	if none := hosts.LocalHost("x", 1, nil); none.Capabilities == nil {
		t.Error("no capabilities would be printed as null")
	}
}

func TestWithJobs(t *testing.T) {
	h := host("a", hosts.Online, 0, 2)
	for _, test := range []struct {
		from    hosts.Status
		current int
		want    hosts.Status
	}{
		{hosts.Online, 1, hosts.Online}, {hosts.Online, 2, hosts.Busy}, {hosts.Busy, 1, hosts.Online}, {hosts.Busy, 3, hosts.Busy},
		{hosts.Offline, 0, hosts.Offline}, {hosts.Offline, 2, hosts.Offline},
	} {
		h.Status = test.from
		if got := h.WithJobs(test.current); got.Status != test.want || got.CurrentJobs != test.current {
			t.Errorf("%s with %d jobs: %+v, want %s", test.from, test.current, got, test.want)
		}
	}
	h.MaxConcurrent, h.Status = 0, hosts.Online
	if got := h.WithJobs(1000); got.Status != hosts.Online || got.Load() != 0 {
		t.Errorf("without a limit: %+v", got)
	}
}
