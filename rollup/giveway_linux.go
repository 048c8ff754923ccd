package rollup

import (
	"fmt"
	"runtime"
	"syscall"
)

// giveWay puts the calling goroutine on a thread of its own that gets what others leave
// of the processors. The thread ends with the goroutine.
func giveWay() error {
	const nice = 10 // a tenth of the weight of a thread that is not
	runtime.LockOSThread()
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), nice); err != nil {
		return fmt.Errorf("cannot lower the priority of a thread: %w", err)
	}
	return nil
}
