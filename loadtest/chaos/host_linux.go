package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
	"unsafe"
)

// host does everything that must happen on one thread: the kernel ends a process
// when the thread that started it ends, and mounts are seen by this thread and by
// what it starts alone. So nothing is left behind, however the harness ends.
type host struct {
	work   chan func()
	mounts bool // may mount: root, in a mount namespace of its own
}

func newHost() *host {
	h := &host{work: make(chan func())}
	ready := make(chan struct{})
	go func() {
		runtime.LockOSThread() // for ever: the thread ends with this function
		h.mounts = os.Geteuid() == 0 &&
			syscall.Unshare(syscall.CLONE_NEWNS) == nil &&
			syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, "") == nil
		close(ready)
		for f := range h.work {
			f()
		}
	}()
	<-ready
	return h
}

// do runs f on the host's thread.
func (h *host) do(f func() error) error {
	done := make(chan error)
	h.work <- func() { done <- f() }
	return <-done
}

func (h *host) start(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	return h.do(cmd.Start)
}

// close kills what still runs.
func (h *host) close() { close(h.work) }

func (d *disk) mount() error {
	return d.host.do(func() error {
		if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot mount %s: %w: %s", d.image, err, out)
		}
		return nil
	})
}

func (d *disk) unmount() error {
	return d.host.do(func() (err error) {
		for range 50 {
			if err = syscall.Unmount(d.dir, 0); !errors.Is(err, syscall.EBUSY) {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		return err
	})
}

// cut is what a power cut leaves: every page and every bit of the journal that was
// not yet on the device is dropped, then the file system recovers.
func (d *disk) cut() error {
	if err := d.host.do(func() error {
		f, err := os.Open(d.dir)
		if err != nil {
			return err
		}
		defer f.Close()
		const shutdown, withoutFlush = 0x8004587d, 2 // FS_IOC_SHUTDOWN, as file system tests use it
		flags := uint32(withoutFlush)
		if _, _, e := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), shutdown, uintptr(unsafe.Pointer(&flags))); e != 0 {
			return e
		}
		return nil
	}); err != nil {
		return fmt.Errorf("cannot cut the power of %s: %w", d.dir, err)
	}
	if err := d.unmount(); err != nil {
		return fmt.Errorf("cannot unmount %s: %w", d.dir, err)
	}
	return d.mount()
}

// fill takes all the room that is left.
func (d *disk) fill() error {
	return d.host.do(func() error {
		f, err := os.Create(d.ballast())
		if err != nil {
			return err
		}
		defer f.Close()
		at := int64(0)
		for step := int64(1 << 30); step >= 4096; {
			if err := syscall.Fallocate(int(f.Fd()), 0, at, step); err != nil {
				step /= 2
				continue
			}
			at += step
		}
		return nil
	})
}

func (d *disk) free() error { return d.host.do(func() error { return os.RemoveAll(d.ballast()) }) }

func freeze(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }
func thaw(p *os.Process) error   { return p.Signal(syscall.SIGCONT) }
