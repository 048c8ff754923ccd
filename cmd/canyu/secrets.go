package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// Passwords stand in files or the environment. On the command line every user of the
// machine sees them, so that is warned of; nothing that canyu prints has one.

// readSecrets reads the URLs that stand in files of their own. A flag or the
// environment wins over them, as over the rest of canyu.yaml.
func (s *settings) readSecrets() (errs []error) {
	for _, f := range []struct {
		key, path string
		to        *string
	}{{"redis_file", s.RedisFile, &s.Redis}, {"clickhouse_file", s.ClickhouseFile, &s.Clickhouse}} {
		if f.path == "" || *f.to != "" {
			continue
		}
		text, err := os.ReadFile(f.path)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", f.key, err))
			continue
		}
		if *f.to = strings.TrimSpace(string(text)); *f.to == "" {
			errs = append(errs, fmt.Errorf("%s %s: is empty", f.key, f.path))
		}
	}
	return errs
}

// passwords are those of a URL; readable is false where they cannot be known.
func passwords(raw string) (passwords []string, readable bool) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, false
	}
	p, _ := u.User.Password()
	query := u.Query()
	for _, p := range []string{p, query.Get("password"), query.Get("sentinel_password")} {
		if p != "" {
			passwords = append(passwords, p)
		}
	}
	return passwords, true
}

// redacted keeps the passwords of a URL out of an error about it.
func redacted(raw string, err error) error {
	secrets, readable := passwords(raw)
	switch {
	case err == nil:
		return nil
	case !readable:
		return errors.New("the URL cannot be read") // nor can its password be found
	}
	text, clean := err.Error(), err.Error()
	for _, p := range secrets {
		for _, form := range []string{p, url.QueryEscape(p), url.PathEscape(p), url.UserPassword("", p).String()[1:]} {
			clean = strings.ReplaceAll(clean, form, "…")
		}
	}
	if clean == text {
		return err // what it wraps may be asked for
	}
	return errors.New(clean)
}

// exposed are the flags that have a password in them.
func exposed(args []string) (flags []string) {
	flag := ""
	for _, arg := range args {
		if strings.HasPrefix(arg, "-") {
			flag, _, _ = strings.Cut(arg, "=")
		}
		if addressOf(arg) != "" {
			flags = append(flags, flag)
		}
	}
	return flags
}

// addressOf is the URL with a password in an argument, or "".
func addressOf(arg string) string {
	if name, value, ok := strings.Cut(arg, "="); ok && strings.HasPrefix(name, "-") {
		arg = value
	}
	if p, _ := passwords(arg); p == nil || !strings.Contains(arg, "://") {
		return ""
	}
	return arg
}

// spare keeps the passwords of the command line out of an error.
func spare(args []string, err error) error {
	for _, arg := range args {
		if err == nil {
			return nil
		}
		address := addressOf(arg)
		if address != "" {
			err = redacted(address, err)
		} else if strings.Contains(arg, "://") && strings.Contains(arg, "@") && strings.Contains(err.Error(), arg) {
			err = errors.New(strings.ReplaceAll(err.Error(), arg, "…"))
		}
	}
	return err
}
