// Command validate holds compose.yaml and the kustomizations of a folder against the
// libraries that docker compose, kubectl and the Kubernetes API are made of, and against
// what every part of them is to have:
//
//	go run -C deploy/validate . ..
//
// It is a module of its own: canyu needs none of these libraries.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

type problems []string

func (p *problems) must(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Sprintf(format, args...))
	}
}

// pinned is an image with a version, the same tomorrow as today.
var pinned = regexp.MustCompile(`^[a-z0-9./-]+:v?[0-9]+(\.[0-9]+)+$`)

func main() {
	dir := ".."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	var p problems
	p.compose(context.Background(), filepath.Join(dir, "compose.yaml"))
	overlays, _ := filepath.Glob(filepath.Join(dir, "kubernetes", "*", "kustomization.yaml"))
	p.must(len(overlays) >= 2, "kubernetes: %d kustomizations", len(overlays))
	for _, o := range overlays {
		p.kubernetes(filepath.Dir(o))
	}
	for _, problem := range p {
		fmt.Fprintln(os.Stderr, problem)
	}
	if len(p) > 0 {
		os.Exit(1)
	}
}
