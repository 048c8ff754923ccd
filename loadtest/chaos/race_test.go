//go:build race

package chaos_test

func init() { buildFlags = append(buildFlags, "-race") } // its packages are built already
