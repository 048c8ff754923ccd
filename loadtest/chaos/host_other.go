//go:build !linux

package chaos

import (
	"errors"
	"os"
	"os/exec"
)

// host elsewhere starts processes; it has no disks of its own to break.
type host struct{ mounts bool }

func newHost() *host                      { return &host{} }
func (h *host) do(f func() error) error   { return f() }
func (h *host) start(cmd *exec.Cmd) error { return cmd.Start() }
func (h *host) close()                    {}

var errLinux = errors.New("needs Linux")

func (d *disk) mount() error   { return errLinux }
func (d *disk) unmount() error { return errLinux }
func (d *disk) cut() error     { return errLinux }
func (d *disk) fill() error    { return errLinux }
func (d *disk) free() error    { return errLinux }

func freeze(*os.Process) error { return errLinux }
func thaw(*os.Process) error   { return errLinux }
