package main

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/canyu/canyu"
)

// linkSettings are those of signed links.
type linkSettings struct {
	Keys []string `yaml:"keys"` // ids; the first signs, one that is taken out revokes its links
	Base string   `yaml:"base"` // where visitors reach this site: https://canyu.example.org
}

func (l *linkSettings) check(wrong func(format string, args ...any)) {
	for i, id := range l.Keys {
		if !canyu.ValidKeyID(id) {
			wrong("links.keys[%d] %q: want 1–16 of a–z, 0–9 and -", i, id)
		}
	}
	if l.Base == "" {
		return
	}
	u, err := url.Parse(l.Base)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		wrong("links.base %q: want an address such as https://canyu.example.org", l.Base)
	}
}

func (s *settings) keyring(secret []byte) *canyu.Keyring {
	return canyu.NewKeyring(secret, s.Links.Keys...)
}

// linkTo is the address of a link with this token.
func (s *settings) linkTo(token string) string {
	base := strings.TrimSuffix(s.Links.Base, "/")
	if base == "" {
		host, port, _ := net.SplitHostPort(s.Listen)
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		base = fmt.Sprint("http://", net.JoinHostPort(host, port))
	}
	return base + "/link/" + token
}
