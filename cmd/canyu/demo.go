package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
	"github.com/canyu/canyu/reports"
)

//go:embed demo.csv
var demoRoster []byte

//go:embed demo.yaml
var demoConfig string

type demoCommand struct {
	Listen string `help:"Address to serve on." default:"127.0.0.1:8080" env:"CANYU_LISTEN"`
	Data   string `help:"Folder to keep the demo in; without one it is gone with the program." env:"CANYU_DATA" placeholder:"DIR"`
}

// Run serves the sample activity, open this week, with a roster of one city's
// schools and some who took part already. Reports go to an outbox folder.
func (c *demoCommand) Run(ctx context.Context, out stdout, errOut stderr) (err error) {
	if c.Data == "" {
		if c.Data, err = os.MkdirTemp("", "canyu-demo-"); err != nil {
			return err
		}
		defer os.RemoveAll(c.Data)
	}
	flags, err := c.configure()
	if err != nil {
		return err
	}
	s, e, err := flags.open(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	if e.beside {
		return canyu.ErrHeld
	}
	log := slog.New(slog.NewTextHandler(errOut, nil))
	if err := c.fill(ctx, s, e, log); err != nil {
		return err
	}
	if err := sample(ctx, s, e, log); err != nil {
		log.Warn("the outbox is empty until the first report", "error", err) // as in a year without a calendar
	}
	secret, err := s.secret()
	if err != nil {
		return err
	}
	link := func(scope canyu.Scope) string {
		token, err := s.keyring(secret).Sign(scope, time.Now().AddDate(0, 0, 7))
		if err != nil {
			log.Error("no link", "error", err) // as with links.keys: []
		}
		return "/link/" + token
	}
	roster, err := e.archive.Roster(ctx)
	if err != nil {
		return err
	}
	return serve(ctx, s, e, log, newHost(ctx, func(url string) {
		id := s.activities[0].ID
		go demoArrivals(ctx, url, s.activities[0], roster)
		fmt.Fprintf(out, "canyu demo serves %s\n\n", url)
		fmt.Fprintf(out, "  take part       %s/a/%s\n", url, id)
		fmt.Fprintf(out, "  a school        %s%s\n", url, link(canyu.Scope{Kind: canyu.SchoolScope, Region: 341802, School: 3418020001}))
		fmt.Fprintf(out, "  the bureau      %s%s\n", url, link(canyu.Scope{Kind: canyu.RegionScope, Region: 341800}))
		fmt.Fprintf(out, "  live counts     %s/v1/activities/%s/counts?region=341802\n", url, id)
		fmt.Fprintf(out, "  today's report  canyu report render --config %s --region 341800 --date %s --out /tmp\n",
			flags.Config, s.activities[0].DayOf(time.Now()))
		fmt.Fprintf(out, "  reports go to   file://%s\n\n", filepath.ToSlash(filepath.Join(s.Outbox, "index.html")))
	}))
}

// configure writes the demo's canyu.yaml, unless it is there from last time.
func (c *demoCommand) configure() (*Flags, error) {
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return nil, err
	}
	c.Data = data
	path := filepath.Join(c.Data, "canyu.yaml")
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); os.IsNotExist(err) {
		shanghai, err := time.LoadLocation("Asia/Shanghai")
		if err != nil {
			return nil, err
		}
		first := demoFirst(shanghai, time.Now())
		days, err := demoPlan(first + 6)
		if err != nil {
			return nil, err
		}
		text := fmt.Sprintf(demoConfig, c.Data, filepath.Join(c.Data, "outbox"), first, first+6, days)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return &Flags{Config: path, Listen: c.Listen}, nil
}

// demoPlan is report.days: working, or daily where the last report, after a holiday of
// ten days at most, could be in a year whose holidays this version does not know.
func demoPlan(last canyu.Day) (string, error) {
	calendar, err := reports.LoadCalendar("")
	if err != nil {
		return "", err
	}
	switch _, err = calendar.Working(last + 10); {
	case errors.Is(err, reports.ErrNoCalendar):
		return "daily", nil
	case err != nil:
		return "", err
	}
	return "working", nil
}

// sample puts a report of the numbers so far into the outbox, that there is one to
// look at before the hour of the first.
func sample(ctx context.Context, s *settings, e *engines, log *slog.Logger) error {
	sender, err := s.sender(e, log)
	if err != nil {
		return err
	}
	_, err = sender.Sample(ctx, s.activities[0], 341802, "education@example.org")
	return err
}

// fill imports the roster and replays some submissions of earlier today.
func (c *demoCommand) fill(ctx context.Context, s *settings, e *engines, log *slog.Logger) error {
	roster, err := ingest.ReadRoster(bytes.NewReader(demoRoster), "demo.csv")
	if err != nil {
		return err
	}
	if err := e.archive.ImportRoster(ctx, roster); err != nil {
		return err
	}
	secret, err := s.secret()
	if err != nil {
		return err
	}
	server := ingest.NewServer(ingest.Config{Activities: s.activities, Ledger: e.ledger, Archive: e.archive, Secret: secret, Log: log})
	if err := server.Prepare(ctx); err != nil {
		return err
	}
	a := s.activities[0]
	lines, err := demoDay(a, roster, time.Now())
	if err != nil {
		return err
	}
	var refused bytes.Buffer
	if _, err := server.Replay(ctx, bytes.NewReader(lines), &refused, nil); err != nil {
		return err
	}
	return s.drain(ctx, e, os.Stderr)
}
