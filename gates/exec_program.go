package gates

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sheratan/sheratan/gates/programs"
	"github.com/sheratan/sheratan/hosts/roots"
	"github.com/sheratan/sheratan/pipeline/kind"
)

// locate finds a program that a rule or a kind names, outside of all roots, and its digest.
func (c *execCompiler) locate(name string) (Program, error) {
	switch {
	case name == "":
		return Program{}, errors.New("is missing: the name of a program, or its absolute path")
	case strings.Contains(name, "/") && (!filepath.IsAbs(name) || filepath.Clean(name) != name):
		return Program{}, fmt.Errorf("%q is neither a name nor a clean absolute path; %s", name, waysInRoot)
	}
	found, err := c.resolve(name)
	if err != nil {
		return Program{}, fmt.Errorf("%q: %w", name, err)
	}
	for _, path := range append([]string{found.Path, found.Real}, linksOn(found.Path)...) {
		if err := c.outside(path); err != nil {
			return Program{}, fmt.Errorf("%q: %w", name, err)
		}
	}
	sum, err := c.digest(found.Real)
	if err != nil {
		return Program{}, fmt.Errorf("%q: %w", name, err)
	}
	return Program{Name: name, Path: found.Path, Real: found.Real, SHA256: sum}, nil
}

// waysInRoot says what there is for a program in a root.
const waysInRoot = "for a program in a root, write a kind, let the rule name an interpreter and match the script as its argument, " +
	"or say \"in_root\": true, which lets jobs that may write change what runs"

// programInRoot finds the entry of a program in a root, or makes it. Any spelling of its path is the same program. It need not
// be there yet: a job may build it.
func (c *execCompiler) programInRoot(name string) (*programRules, error) {
	path := name
	switch {
	case !strings.Contains(name, "/"):
		return nil, fmt.Errorf("%q is a name, and a program in a root is named by a path: ./%s", name, name)
	case !filepath.IsAbs(name) && c.base == "":
		return nil, fmt.Errorf("%q: there is no root that it could be relative to", name)
	case !filepath.IsAbs(name):
		path = filepath.Join(c.base, name)
	case filepath.Clean(name) != name:
		return nil, fmt.Errorf("%q is no clean path", name)
	}
	if !filepath.IsAbs(name) && !filepath.IsLocal(name) {
		return nil, fmt.Errorf("%q leads out of the root", name)
	}
	if p, ok := c.rules.bySpelling[path]; ok {
		c.rules.bySpelling[name] = p
		return p, nil
	}
	program := Program{Name: name, Path: path, InRoot: true}
	if _, err := c.inRoot(path); err != nil && !errors.Is(err, ErrNoProgram) {
		return nil, fmt.Errorf("%q: %w", name, err)
	}
	p := &programRules{Program: program}
	c.programs = append(c.programs, program)
	for _, spelling := range []string{name, path} {
		c.rules.bySpelling[spelling] = p
	}
	if rel, err := filepath.Rel(c.base, path); c.base != "" && err == nil && filepath.IsLocal(rel) {
		c.rules.bySpelling["./"+rel] = p
		if strings.Contains(rel, "/") { // else it is a name, which is looked up elsewhere
			c.rules.bySpelling[rel] = p
		}
	}
	return p, nil
}

// inRoot looks at a program in a root as it is now. The path lies in a root; where it is a link that leads out of all roots, as in
// an environment of Python, its target must be a program as any other.
func (c *execCompiler) inRoot(path string) (Program, error) {
	if err := c.roots.Check(filepath.Dir(path)); err != nil {
		return Program{}, fmt.Errorf("\"in_root\" is set: %w", err)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		if err := c.roots.Check(path); err != nil {
			return Program{}, err
		}
		if errors.Is(err, fs.ErrNotExist) {
			return Program{}, ErrNoProgram
		}
		return Program{}, err
	}
	if err := c.roots.Check(path); err != nil && c.outside(real) != nil {
		return Program{}, err
	}
	found, err := found(path)
	if err != nil {
		return Program{}, err
	}
	sum, err := c.digest(found.Real)
	return Program{Path: path, Real: found.Real, SHA256: sum, InRoot: true}, err
}

// ownProgram finds the program of an operator's own kind. Unlike an exec rule a kind says what there is to be run, so one
// whose program is missing does not load.
func (c *execCompiler) ownProgram(k kind.Kind) (Program, error) {
	name, unsafe := k.Program()
	p, err := c.locate(name)
	switch {
	case errors.Is(err, ErrNoProgram):
		return p, fmt.Errorf("/argv/0: %q is in none of the folders in which programs are looked up; install it, write its absolute path, or move the file out of the folder", name)
	case err != nil:
		return p, fmt.Errorf("/argv/0: %w", err)
	}
	for _, path := range []string{name, p.Real} {
		if why := programs.RunsOthers(path); why != "" && !unsafe && !(path == p.Real && manyInOne(path)) {
			return p, fmt.Errorf("/argv/0: %q %s; write out the options that keep it from that, and say \"unsafe\": true, or take another program", path, why)
		}
	}
	if !slices.ContainsFunc(c.programs, func(other Program) bool { return other.Name == p.Name }) {
		c.programs = append(c.programs, p)
	}
	return p, nil
}

// outside refuses a program that a job could replace.
func (c *execCompiler) outside(path string) error {
	for _, dir := range c.writable {
		if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
			return fmt.Errorf("%s lies in %s, where jobs write and could replace it; install it elsewhere", path, dir)
		}
	}
	// Of its folder, too: a link in a root that leads out of it counts as outside, and a job could turn it.
	err := c.roots.Check(path)
	var fault *roots.PathError
	if err != nil && c.roots.Check(filepath.Dir(path)) == nil {
		err = nil
	}
	if err != nil && errors.As(err, &fault) && fault.Code == roots.OutsideRoots {
		return nil
	}
	if err == nil {
		return fmt.Errorf("%s lies in a root, where jobs could replace it; install it elsewhere; %s", path, waysInRoot)
	}
	return fmt.Errorf("%s: %w; a program lies outside the roots and the workspace", path, err)
}

// linksOn lists the symbolic links on the way along an absolute path, and along their targets. Whoever can replace one of them
// chooses the program.
func linksOn(path string) (links []string) {
	left := strings.Split(path, "/")
	at := "/"
	for len(left) > 0 && len(links) <= maxLinks {
		next := filepath.Join(at, left[0])
		left = left[1:]
		target, err := os.Readlink(next)
		if err != nil {
			at = next // no link, or nothing is there
			continue
		}
		links = append(links, next)
		if filepath.IsAbs(target) {
			at = "/"
		}
		left = append(strings.Split(target, "/"), left...)
	}
	return links
}

// maxLinks bounds the symbolic links on one way, as the kernel does.
const maxLinks = 40
