package rollup

import (
	"runtime"
	"syscall"
	"testing"
)

// A thread that gives way is alone in that: threads that it starts, and whoever gets it
// afterwards, have the priority of the process.
func TestGiveWay(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	priority := func() int { // 20 and less with each step of nice
		n, err := syscall.Getpriority(syscall.PRIO_PROCESS, syscall.Gettid())
		if err != nil {
			t.Error(err)
		}
		return n
	}
	before := priority()
	within, beside := make(chan int), make(chan int)
	go func() {
		if err := giveWay(); err != nil {
			t.Error(err)
		}
		within <- priority()
		go func() {
			runtime.LockOSThread() // for good: a thread that nobody has had
			beside <- priority()
		}()
		<-within
	}()
	if n := <-within; n != max(1, before-10) {
		t.Errorf("the priority is %d of %d", n, before)
	}
	if n := <-beside; n != before {
		t.Errorf("beside it is %d, want %d", n, before)
	}
	close(within)
	if n := priority(); n != before {
		t.Errorf("here it is %d, want %d", n, before)
	}
}
