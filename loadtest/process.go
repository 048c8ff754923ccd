package loadtest

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of CPU time in /proc, on every Linux there is.
const tick = 10 * time.Millisecond

// processStat is one line of /proc/…/stat, where the system has it.
type processStat struct {
	parent   int
	cpu      time.Duration // user and system time so far
	children time.Duration // of its children that have ended
	resident int64         // bytes
}

func statOf(pid int) (processStat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return processStat{}, fmt.Errorf("cannot read the CPU time: %w", err)
	}
	// The name in brackets may hold anything: count from behind it. The parent is
	// field 4, the times are fields 14 to 17, the resident pages field 24.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 22 {
		return processStat{}, errors.New("cannot read the CPU time: /proc is strange")
	}
	var n [6]int64
	var errs error
	for i, field := range []int{1, 11, 12, 13, 14, 21} {
		v, err := strconv.ParseInt(fields[field], 10, 64)
		n[i], errs = v, errors.Join(errs, err)
	}
	return processStat{int(n[0]), time.Duration(n[1]+n[2]) * tick, time.Duration(n[3]+n[4]) * tick, n[5] * int64(os.Getpagesize())}, errs
}

// cpu is the user and system time of a process so far.
func cpu(pid int) (time.Duration, error) {
	s, err := statOf(pid)
	return s.cpu, err
}

// resident is the memory of a process, in bytes; 0 where the system does not tell.
func resident(pid int) int64 {
	s, _ := statOf(pid)
	return s.resident
}

// family is the CPU time of a process and its children, also of those that have
// ended: PostgreSQL has one for each connection, Redis one that rewrites its file.
func family(pid int) time.Duration {
	own, err := statOf(pid)
	if err != nil {
		return 0
	}
	sum := own.cpu + own.children
	all, _ := filepath.Glob("/proc/[0-9]*") // the pattern is good
	for _, dir := range all {
		child, err := strconv.Atoi(filepath.Base(dir))
		if err != nil {
			continue
		}
		if s, err := statOf(child); err == nil && s.parent == pid {
			sum += s.cpu + s.children
		}
	}
	return sum
}

// listener is the process that listens on the loopback port of a server's URL; 0
// where it is not to be found, or on another machine.
func listener(server string) int {
	u, err := url.Parse(server)
	if err != nil || u.Port() == "" {
		return 0
	}
	if ip := net.ParseIP(u.Hostname()); u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return 0
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil {
		return 0
	}
	sockets := make(map[string]bool)
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		b, _ := os.ReadFile(file) // there may be none
		for line := range strings.Lines(string(b)) {
			// sl local_address rem_address st … inode is the tenth; 0A is LISTEN
			f := strings.Fields(line)
			if len(f) > 9 && f[3] == "0A" && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
				sockets["socket:["+f[9]+"]"] = true
			}
		}
	}
	if len(sockets) == 0 {
		return 0
	}
	holders := make(map[int]bool) // a child that was just forked may hold it too
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && sockets[to] {
			pid, _ := strconv.Atoi(strings.Split(fd, "/")[2])
			holders[pid] = true
		}
	}
	for pid := range holders {
		if s, err := statOf(pid); err == nil && !holders[s.parent] {
			return pid
		}
	}
	return 0
}
