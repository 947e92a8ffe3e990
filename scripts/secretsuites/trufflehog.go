package main

import (
	"context"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// trufflehog are the samples in the tests of that project's detectors (AGPL-3.0). They are read where the module cache has them, and neither
// they nor its patterns are taken.
type trufflehog struct{}

const (
	trufflehogModule  = "github.com/trufflesecurity/trufflehog/v3"
	trufflehogVersion = "v3.90.8"
)

func (trufflehog) name() string { return "trufflehog " + trufflehogVersion }

func (trufflehog) samples(ctx context.Context) ([]sample, error) {
	dir, err := module(ctx, trufflehogModule, trufflehogVersion)
	if err != nil {
		return nil, err
	}
	var all []sample
	err = filepath.WalkDir(filepath.Join(dir, "pkg", "detectors"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, "_integration_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		list, err := tableSamples(filepath.Base(filepath.Dir(path)), text)
		all = append(all, list...)
		return err
	})
	if err == nil && len(all) < 200 {
		err = fmt.Errorf("its tests have %d samples that can be read: they have changed", len(all))
	}
	return all, err
}

// tableSamples reads the tables of a test: elements with an input, and the secrets that are wanted from it. Inputs that are not strings, put
// together from strings of the file, are left out.
func tableSamples(rule string, source []byte) ([]sample, error) {
	file, err := parser.ParseFile(token.NewFileSet(), rule, source, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	names := map[string]ast.Expr{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if i < len(n.Values) {
					names[name.Name] = n.Values[i]
				}
			}
		case *ast.AssignStmt:
			for i, left := range n.Lhs {
				if name, ok := left.(*ast.Ident); ok && len(n.Lhs) == len(n.Rhs) {
					names[name.Name] = n.Rhs[i]
				}
			}
		}
		return true
	})
	var list []sample
	ast.Inspect(file, func(n ast.Node) bool {
		element, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		members := map[string]ast.Expr{}
		for _, e := range element.Elts {
			if pair, ok := e.(*ast.KeyValueExpr); ok {
				if key, ok := pair.Key.(*ast.Ident); ok {
					members[key.Name] = pair.Value
				}
			}
		}
		want, ok := members["want"]
		if text, readable := stringOf(members["input"], names, 8); ok && readable {
			wanted, isList := want.(*ast.CompositeLit)
			list = append(list, sample{rule, isList && len(wanted.Elts) > 0, text})
		}
		return true
	})
	return list, nil
}

// stringOf evaluates an expression that is a string: a literal, a name, a sum, or fmt.Sprintf of these.
func stringOf(e ast.Expr, names map[string]ast.Expr, depth int) (string, bool) {
	if depth == 0 {
		return "", false
	}
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil && e.Kind == token.STRING
	case *ast.ParenExpr:
		return stringOf(e.X, names, depth-1)
	case *ast.Ident:
		return stringOf(names[e.Name], names, depth-1)
	case *ast.BinaryExpr:
		left, ok := stringOf(e.X, names, depth-1)
		right, also := stringOf(e.Y, names, depth-1)
		return left + right, ok && also && e.Op == token.ADD
	case *ast.CallExpr:
		called, ok := e.Fun.(*ast.SelectorExpr)
		if !ok || called.Sel.Name != "Sprintf" || len(e.Args) == 0 {
			return "", false
		}
		var parts []any
		for _, arg := range e.Args {
			text, ok := stringOf(arg, names, depth-1)
			if !ok {
				return "", false
			}
			parts = append(parts, text)
		}
		return fmt.Sprintf(parts[0].(string), parts[1:]...), true
	}
	return "", false
}
