package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sheratan/sheratan/hosts/sandbox"
)

// measureLoop lets a loop run many small jobs and says what it leaves behind: memory of the process after N and after 4N of them, objects
// and packs of the ledger's repository, and bytes on the disk.
func measureLoop(ctx context.Context, b *bench) (err error) {
	s, err := b.newSpaceAt(ctx, "loop", 2, sandbox.LevelNone)
	if err != nil {
		return err
	}
	c := exec.CommandContext(ctx, s.bin, "tick", "--loop")
	c.Dir = s.Root()
	if err := c.Start(); err != nil {
		return err
	}
	stop := func() error {
		c.Process.Signal(syscall.SIGTERM)
		return c.Wait()
	}
	n := b.size.looped
	b.report.line("exec jobs running true in a tick --loop, two slots, %d at a time", n/loopSteps)
	var resident []int64 // after each step
	mostLoose := 0
	for step := 1; step <= 4*loopSteps; step++ {
		if err := s.submit(ctx, strings.Repeat(execTrue, n/loopSteps)); err != nil {
			return errors.Join(err, stop())
		}
		if err := s.await(ctx, step*n/loopSteps); err != nil {
			return errors.Join(err, stop())
		}
		bytes, err := residentBytes(c.Process.Pid)
		if err != nil {
			return errors.Join(err, stop())
		}
		resident = append(resident, bytes)
		loose, packs, err := s.objects()
		if err != nil {
			return errors.Join(err, stop())
		}
		mostLoose = max(mostLoose, loose)
		if step == loopSteps || step == 4*loopSteps {
			b.report.line("%-44s %10s  loose objects %d, packs %d", fmt.Sprintf("memory after %d jobs", step*n/loopSteps),
				fmt.Sprintf("%.0f MB", float64(bytes)/1e6), loose, packs)
		}
	}
	if err := stop(); err != nil {
		return err
	}
	// The memory goes up and down with the garbage collector: what counts is whether it grows.
	first, last := median(resident[:loopSteps]), median(resident[3*loopSteps:])
	b.report.growth(fmt.Sprintf("memory, last %d jobs : first %[1]d", n), float64(last), float64(first))
	b.report.ratio("loose objects, at most", strconv.Itoa(mostLoose), "aim < 2000", mostLoose < 2000)
	return b.reportDisk(s, 4*n)
}

func median(list []int64) int64 {
	list = slices.Sorted(slices.Values(list))
	return list[len(list)/2]
}

// loopSteps is in how many parts N jobs are handed in.
const loopSteps = 5

// await waits until n jobs have completed.
func (s space) await(ctx context.Context, n int) error {
	for {
		err := s.completed(n)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// reportDisk prints what n jobs take in runtime/, a job, with blocks that are not full as they count on the disk.
func (b *bench) reportDisk(s space, n int) error {
	var total int64
	for _, part := range []struct{ name, dir string }{
		{"results", s.Results()}, {"replies", s.RepliesDir()}, {"ledger", s.LedgerDir()}, {"documents", s.Documents()},
		{"git", s.Git()}, {"index and the rest of .sheratan", s.State()},
	} {
		length, onDisk, err := folderSizes(part.dir)
		if err != nil {
			return err
		}
		total += onDisk
		b.report.line("%-44s %10d  of which written %d", part.name+", bytes a job", onDisk/int64(n), length/int64(n))
	}
	b.report.line("%-44s %10d", "all of runtime/, bytes a job", total/int64(n))
	return nil
}

// objects counts loose objects and packs of the ledger's repository.
func (s space) objects() (loose, packs int, err error) {
	found, err := filepath.Glob(filepath.Join(s.Git(), "objects", "[0-9a-f][0-9a-f]", "*"))
	if err != nil {
		return 0, 0, err
	}
	packed, err := filepath.Glob(filepath.Join(s.Git(), "objects", "pack", "*.pack"))
	return len(found), len(packed), err
}

// residentBytes is the memory of a process that is not swapped out.
func residentBytes(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0, err
	}
	f := strings.Fields(string(text))
	if len(f) < 2 {
		return 0, fmt.Errorf("process %d has ended", pid)
	}
	pages, err := strconv.ParseInt(f[1], 10, 64)
	return pages * int64(os.Getpagesize()), err
}

// folderSizes adds up the lengths of the files below dir, and the room that they and the folders have on the disk.
func folderSizes(dir string) (length, onDisk int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		if d.Type().IsRegular() {
			length += info.Size()
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok {
			onDisk += st.Blocks * 512
		}
		return nil
	})
	return length, onDisk, err
}
