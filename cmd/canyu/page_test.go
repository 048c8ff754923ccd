package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPageSettings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ page, want string }{
		{"{theme: /nowhere/at/all}", "activities[0].page.theme \"/nowhere/at/all\""},
		{"{grey: sometimes}", "activities[0].page.grey: \"sometimes\""},
		{"{grey: [2017-04-04, always]}", "page.grey: \"always\""},
		{"{gray: always}", "page.gray: unknown key"},
		{"{grey: always}", ""},
		{"{grey: [2017-04-04, 2017-04-05]}", ""},
	} {
		s := newSite(t, pair{name: "embedded"}, "")
		text, err := os.ReadFile(s.config)
		if err != nil {
			t.Fatal(err)
		}
		s.file(filepath.Base(s.config), []byte(strings.Replace(string(text), "    identify:", "    page: "+c.page+"\n    identify:", 1)))
		out, err := s.canyu("check")
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.page, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %s%v, want %s", c.page, out, err, c.want)
		}
	}
}
