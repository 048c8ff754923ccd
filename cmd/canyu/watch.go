package main

import (
	"net/netip"
)

// watchOff is for load tests and demonstrations: nothing is held apart or slowed down.
const watchOff = "off"

// proxies are those whose X-Forwarded-For is believed: addresses, or prefixes of them.
func (s *settings) proxies(wrong func(format string, args ...any)) (all []netip.Prefix) {
	if s.Watch != "on" && s.Watch != watchOff {
		wrong("watch %q: want on or off", s.Watch)
	}
	for _, text := range s.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if addr, single := netip.ParseAddr(text); single == nil {
			p, err = netip.PrefixFrom(addr.Unmap(), addr.Unmap().BitLen()), nil
		}
		if err != nil {
			wrong("trusted_proxies %q: want an address such as 127.0.0.1 or a prefix such as 10.0.0.0/8", text)
			continue
		}
		all = append(all, p.Masked())
	}
	return all
}
