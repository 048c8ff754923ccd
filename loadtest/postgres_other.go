//go:build !unix

package loadtest

import "syscall"

func unprivileged(above, data string) (*syscall.SysProcAttr, error) { return nil, nil }
