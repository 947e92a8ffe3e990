// Package durable has files that appear whole or not at all, and bytes that are on the disk when a call returns.
//
// Three kinds of files, from dear to cheap. Content that somebody was promised is written by WriteFile (written, synced,
// renamed, its folder synced) or appended through a File (one write, one fdatasync). Projections, which can be made again
// from such content, are written by ReplaceFile and CreateFile: they appear whole, but after a power loss they may be
// missing or old. Moves between folders are made by RenameNoReplace, because rename(2) replaces silently.
//
// The package also has what processes need to keep out of each other's way: advisory locks that end with their process,
// and a name for a process that no other process can have.
package durable
