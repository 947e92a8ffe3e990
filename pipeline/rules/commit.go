package rules

import (
	"path/filepath"
	"slices"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// Commit names the commit of the repository in which config/ is, with -dirty behind it where a file of the rules is not
// as that commit has it; "" where config/ is in none, or was never committed. It is looked up, not remembered, and only
// worth its milliseconds when the rules have changed.
func (r *Rules) Commit() string {
	commit, tree, err := headOf(r.ws.ConfigDir())
	if err != nil {
		return ""
	}
	clean, known := true, false
	for _, f := range slices.Concat([]sourceFile{{configName, r.sources.config}}, r.sources.policies, r.sources.kinds, r.sources.prompts) {
		rel, err := filepath.Rel(tree.dir, filepath.Join(r.ws.Root(), f.name))
		if err != nil {
			return ""
		}
		entry, err := tree.tree.FindEntry(filepath.ToSlash(rel))
		if err != nil {
			clean = false
			continue
		}
		known = true
		clean = clean && entry.Hash == plumbing.ComputeHash(plumbing.BlobObject, f.text)
	}
	switch {
	case !known:
		return ""
	case !clean:
		return commit + "-dirty"
	}
	return commit
}

type workTree struct {
	dir  string
	tree *object.Tree
}

func headOf(dir string) (string, workTree, error) {
	repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if err != nil {
		return "", workTree{}, err
	}
	head, err := repo.Head()
	if err != nil {
		return "", workTree{}, err
	}
	commit, err := repo.CommitObject(head.Hash())
	if err != nil {
		return "", workTree{}, err
	}
	tree, err := commit.Tree()
	if err != nil {
		return "", workTree{}, err
	}
	wt, err := repo.Worktree()
	if err != nil {
		return "", workTree{}, err
	}
	root, err := filepath.EvalSymlinks(wt.Filesystem.Root())
	if err != nil {
		return "", workTree{}, err
	}
	return head.Hash().String(), workTree{root, tree}, nil
}
