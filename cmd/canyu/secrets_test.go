package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// No password is in what canyu prints, however wrong everything is.
func TestPasswordsAreNotPrinted(t *testing.T) {
	t.Parallel()
	const secret = "pa/ss+W0rd%" // in some form of it
	forms := []string{secret, "pa%2Fss+W0rd%25", "pa%2Fss%2BW0rd%25", "W0rd"}
	const p = "pa%2Fss%2BW0rd%25"
	s := newSite(t, pair{}, "")
	redis, house := s.file("redis", []byte("redis://:"+p+"@127.0.0.1:1/0\n")), s.file("clickhouse", []byte("clickhouse://u:"+p+"@127.0.0.1:1/x\n"))
	say := func(args ...string) string {
		var out, errOut syncBuffer
		err := run(t.Context(), append(args, "--config", s.config), &out, &errOut)
		return out.String() + errOut.String() + fmt.Sprint(err)
	}
	for name, c := range map[string]struct{ printed, want string }{
		"check, files":         {say("check", "--redis", "redis://:"+p+"@127.0.0.1:1/0", "--clickhouse", "clickhouse://u:"+p+"@127.0.0.1:1/x"), "fine"},
		"check, bad redis":     {say("check", "--redis", "redis://:"+p+"@127.0.0.1:1/nothing", "--clickhouse=http://u:"+p+"@127.0.0.1:1"), "redis"},
		"check, sentinel":      {say("check", "--redis", "redis+sentinel://:"+p+"@127.0.0.1:1/0?master_name=canyu&sentinel_password="+p+"&shards=none", "--clickhouse=http://127.0.0.1:1"), "shards=none"},
		"verify, sentinel":     {say("verify", "--redis=redis+sentinel://127.0.0.1:1/0?master_name=canyu&sentinel_password="+p, "--clickhouse", "clickhouse://127.0.0.1:1/x"), "refused"},
		"check, no URL":        {say("check", "--redis", "redis://:"+p+"@127.0.0.1:port/0", "--clickhouse=http://127.0.0.1:1?password="+p+"&x=y&dial_timeout=z"), "clickhouse"},
		"verify, nobody":       {say("verify", "--redis=redis://:"+p+"@127.0.0.1:1/0", "--clickhouse", "clickhouse://127.0.0.1:1/x?username=u&password="+p), "refused"},
		"mail, bad URL":        {say("report", "send", "--date", "2017-04-01", "--smtp", "smtp://u:"+p+"@127.0.0.1:port", "--from", "a@example.org"), ""},
		"an argument too many": {say("check", "redis://:"+p+"@127.0.0.1:1/0"), "unexpected"},
		"no URL too many":      {say("check", "redis://:"+p+"@127.0.0.1:port/0"), "unexpected"},
	} {
		if !strings.Contains(c.printed, c.want) {
			t.Errorf("%s: %s", name, c.printed)
		}
		for _, form := range forms {
			if strings.Contains(c.printed, form) {
				t.Errorf("%s: the password is in\n%s", name, c.printed)
			}
		}
	}
	// On the command line it is warned of, in a file and in the environment it is not.
	var out, errOut syncBuffer
	if err := run(t.Context(), []string{"check", "--config", s.config, "--redis", "redis://:" + p + "@127.0.0.1:1/0", "--clickhouse=http://u:" + p + "@127.0.0.1:1"}, &out, &errOut); err != nil {
		t.Error(err)
	}
	if text := errOut.String(); !strings.Contains(text, "--redis has a password") || !strings.Contains(text, "--clickhouse has a password") {
		t.Errorf("no warning: %q", text)
	}
	text, err := os.ReadFile(s.config)
	if err == nil {
		err = os.WriteFile(s.config, append([]byte("redis_file: "+redis+"\nclickhouse_file: "+house+"\n"), text...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	errOut = syncBuffer{}
	if err := run(t.Context(), []string{"check", "--config", s.config}, &out, &errOut); err != nil || strings.Contains(errOut.String(), "warning") {
		t.Errorf("files: %v %s", err, errOut.String())
	}
	settings, err := (&Flags{Config: s.config}).settings()
	if err != nil || settings.Redis != "redis://:"+p+"@127.0.0.1:1/0" || !strings.HasPrefix(settings.Clickhouse, "clickhouse://u:") {
		t.Errorf("files: %v", err)
	}
	if settings, err = (&Flags{Config: s.config, Redis: "redis://127.0.0.1:2"}).settings(); err != nil || settings.Redis != "redis://127.0.0.1:2" {
		t.Errorf("a flag goes before a file: %v", err)
	}
	if err := os.WriteFile(s.config, append([]byte("redis_file: "+filepath.Join(s.dir, "none")+"\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.canyu("check"); err == nil || !strings.Contains(err.Error(), "redis_file") {
		t.Errorf("no file: %v", err)
	}
}
