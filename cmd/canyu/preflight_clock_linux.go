package main

import "syscall"

// clock asks the kernel whether somebody keeps the time.
func (p *preflight) clock() {
	const unsynchronised = 5 // TIME_ERROR of adjtimex(2)
	state, err := syscall.Adjtimex(&syscall.Timex{})
	switch {
	case !p.must("clock", err):
	case state == unsynchronised:
		p.say(look, "clock", "nobody keeps it: at midnight a wrong clock is a wrong day; use NTP (chrony, systemd-timesyncd)")
	default:
		p.say(fine, "clock", "it is kept")
	}
}
