//go:build !unix

package loadtest

import (
	"os"
	"syscall"
)

func unprivileged(above, data string) (*syscall.SysProcAttr, error) { return nil, nil }

func peakMemory(*os.ProcessState) int64 { return 0 }
