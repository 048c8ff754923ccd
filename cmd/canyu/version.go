package main

import (
	"fmt"
	"runtime/debug"
)

// version is set by the release build.
var version = "0.1.0-dev"

type versionCommand struct{}

// Run prints the version and the commit it was built from.
func (versionCommand) Run(out stdout) error {
	commit := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				commit = " " + s.Value[:12]
			}
		}
	}
	_, err := fmt.Fprintf(out, "canyu %s%s\n", version, commit)
	return err
}
