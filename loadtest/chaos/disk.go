package chaos

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// disk is what one process keeps its data on: an ext4 file system in a file, where
// the host may mount one, else a plain folder that nothing can be done to.
type disk struct {
	host  *host
	dir   string
	image string // "" for a plain folder
}

const diskSize = 8 << 30 // sparse: it takes the room of what is in it

func (h *host) newDisk(dir, name string) (*disk, error) {
	d := &disk{host: h, dir: filepath.Join(dir, name)}
	if err := os.Mkdir(d.dir, 0o700); err != nil {
		return nil, err
	}
	if !h.mounts {
		return d, nil
	}
	image := d.dir + ".ext4"
	f, err := os.Create(image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(diskSize), f.Close()); err != nil {
		return nil, err
	}
	d.image = image
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", "-m", "0", image).CombinedOutput(); err != nil {
		return d.plain(fmt.Errorf("cannot make a file system: %w: %s", err, out))
	}
	if err := d.mount(); err != nil {
		return d.plain(err)
	}
	return d, nil
}

// plain gives up the image: where one disk cannot be mounted, none can.
func (d *disk) plain(why error) (*disk, error) {
	d.host.mounts = false
	err := os.Remove(d.image)
	d.image = ""
	if err != nil {
		return nil, errors.Join(why, err)
	}
	return d, nil
}

func (d *disk) real() bool { return d != nil && d.image != "" }

func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// empty removes what is on it.
func (d *disk) empty() error {
	return d.host.do(func() error {
		entries, err := os.ReadDir(d.dir)
		for _, e := range entries {
			if e.Name() != "lost+found" {
				err = errors.Join(err, os.RemoveAll(filepath.Join(d.dir, e.Name())))
			}
		}
		return err
	})
}

// forget removes files.
func (d *disk) forget(pattern string) error {
	return d.host.do(func() error {
		paths, err := filepath.Glob(filepath.Join(d.dir, pattern))
		for _, path := range paths {
			err = errors.Join(err, os.Remove(path))
		}
		return err
	})
}

// keep copies what is on it to elsewhere, and bring puts that back in its place.
func (d *disk) keep(elsewhere string) error { return d.copy(d.dir, elsewhere) }

// What is put back is synced, as whoever restores a backup has to.
func (d *disk) bring(elsewhere string) error {
	return errors.Join(d.empty(), d.copy(elsewhere, d.dir), d.host.do(func() error {
		return exec.Command("sync", "-f", d.dir).Run()
	}))
}

func (d *disk) copy(from, to string) error {
	return d.host.do(func() error {
		if err := os.MkdirAll(to, 0o700); err != nil {
			return err
		}
		// Files of a running server may go while they are copied: cp says so, and goes on.
		_ = exec.Command("cp", "-a", from+"/.", to).Run()
		return nil
	})
}
