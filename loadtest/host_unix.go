//go:build unix

package loadtest

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
)

// unprivileged is how root starts a program that refuses root: as somebody else, who
// gets the folder data and may pass through the one above. nil for everybody else.
func unprivileged(above, data string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		err = errors.Join(err1, err2, os.Chmod(above, 0o711), os.Chown(data, int(uid), int(gid)))
		if err != nil {
			return nil, fmt.Errorf("cannot hand a folder to %s: %w", name, err)
		}
		return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
	}
	return nil, errors.New("it refuses root, and there is neither a user postgres nor a user nobody")
}

// peakMemory is in bytes. Linux tells it in kilobytes, others in bytes.
func peakMemory(s *os.ProcessState) int64 {
	usage, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(usage.Maxrss) //nolint:unconvert // it has 32 bits elsewhere
	}
	return int64(usage.Maxrss) * 1024 //nolint:unconvert // likewise
}
