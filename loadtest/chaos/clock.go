package chaos

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// clock is another clock for one process: a library that is loaded before its own
// and adds what a shared file says. (libfaketime does the same, and falls over the
// allocator that Redis brings along.)
type clock struct{ library, file string }

const clockSource = `#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static long skew(void) {
  static long none;
  static volatile long *seconds;
  if (!seconds) {
    const char *path = getenv("CHAOS_CLOCK");
    int fd = path ? open(path, O_RDONLY) : -1;
    void *at = fd < 0 ? MAP_FAILED : mmap(0, sizeof(long), PROT_READ, MAP_SHARED, fd, 0);
    seconds = at == MAP_FAILED ? &none : at;
    if (fd >= 0) close(fd);
  }
  return *seconds;
}

int clock_gettime(clockid_t id, struct timespec *t) {
  int failed = syscall(SYS_clock_gettime, id, t);
  if (!failed && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) t->tv_sec += skew();
  return failed;
}

int gettimeofday(struct timeval *t, void *zone) {
  struct timespec now;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &now);
  t->tv_sec = now.tv_sec;
  t->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *t) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (t) *t = now.tv_sec;
  return now.tv_sec;
}
`

// newClock is nil where there is no C compiler.
func newClock(dir string) (*clock, error) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		return nil, nil
	}
	c := &clock{filepath.Join(dir, "clock.so"), filepath.Join(dir, "clock")}
	source := filepath.Join(dir, "clock.c")
	if err := os.WriteFile(source, []byte(clockSource), 0o600); err != nil {
		return nil, err
	}
	if out, err := exec.Command(cc, "-shared", "-fPIC", "-O1", "-o", c.library, source).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("cannot compile the clock: %w: %s", err, out)
	}
	return c, c.set(0)
}

func (c *clock) env() []string { return []string{"LD_PRELOAD=" + c.library, "CHAOS_CLOCK=" + c.file} }

// set changes the clock of the running process at once.
func (c *clock) set(skew time.Duration) error {
	f, err := os.OpenFile(c.file, os.O_CREATE|os.O_WRONLY, 0o600) // not truncated: it is mapped
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(int64(skew/time.Second))), 0)
	return err
}
