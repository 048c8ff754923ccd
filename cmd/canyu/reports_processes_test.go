package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/canyu/canyu/reports/mailtest"
)

// Three processes of the operating system send the same report at the same time:
// each recipient has it once, and each process says what it did.
func TestReportSendByThreeProcesses(t *testing.T) {
	t.Parallel()
	eachPair(t, func(t *testing.T, p pair) {
		smtp := mailtest.New(t, nil)
		s := newSite(t, p, fmt.Sprintf("smtp: {url: \"smtp+plain://%s\", from: report@example.org}\n", smtp.Address), "2017-04-01", "2017-04-07")
		config, err := os.ReadFile(s.config)
		if err != nil {
			t.Fatal(err)
		}
		s.file("canyu.yaml", []byte(strings.Replace(string(config), "[city@example.org]", "[a@example.org, b@example.org, c@example.org, d@example.org, e@example.org]", 1)))
		s.must("roster", "import", "testdata/roster-gb18030.csv")
		s.apart("replay", s.weekFile())
		var group sync.WaitGroup
		start := make(chan struct{})
		outs := make([]string, 3)
		for i := range outs {
			group.Go(func() {
				cmd := exec.Command(program(t, true), "report", "send", "--date", "2017-04-01", "--config", s.config)
				cmd.Env = environment()
				<-start
				out, err := cmd.CombinedOutput()
				if outs[i] = string(out); err != nil {
					t.Errorf("process %d: %v\n%s", i+1, err, out)
				}
			})
		}
		close(start)
		group.Wait()
		var to []string
		for _, m := range smtp.Mails() {
			to = append(to, m.To)
		}
		slices.Sort(to)
		if got := strings.Join(to, " "); got != "a@example.org b@example.org c@example.org d@example.org e@example.org" {
			t.Errorf("mails to %s, want one to each\n%s", got, strings.Join(outs, "\n"))
		}
		if all := strings.Join(outs, "\n"); strings.Count(all, ": delivered\n") != 1 || strings.Count(all, "nothing to do")+strings.Count(all, "another process") != 2 {
			t.Errorf("the processes say\n%s", all)
		}
		if out := s.must("report", "status"); strings.Count(out, " sent ") != 5 {
			t.Errorf("status:\n%s", out)
		}
	})
}
