package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
	"github.com/canyu/canyu/ingest/redisledger"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/rollup/clickhousearchive"
)

// Flags are the settings that every command takes. One that is given on the
// command line wins over the environment, that over canyu.yaml, that over the
// default.
type Flags struct {
	Config     string   `help:"Configuration file. (default: canyu.yaml, where there is one)" env:"CANYU_CONFIG" placeholder:"FILE"`
	Data       string   `help:"Folder of everything kept on this machine. (default: data)" env:"CANYU_DATA" placeholder:"DIR"`
	Redis      string   `help:"Ledger in Redis: redis://host:6379/0, redis+sentinel://… or redis+cluster://…. Needs --clickhouse." env:"CANYU_REDIS" placeholder:"URL"`
	Clickhouse string   `help:"Archive in ClickHouse: clickhouse://host:9000/canyu or http://…; a cluster: a:9000,b:9000/canyu?cluster=NAME. Needs --redis." env:"CANYU_CLICKHOUSE" placeholder:"DSN"`
	KeyFile    string   `help:"File with the secret that keys the participants. (default: key in the data folder)" env:"CANYU_KEY_FILE" placeholder:"FILE"`
	Listen     string   `help:"Address to serve on. (default: 127.0.0.1:8080)" env:"CANYU_LISTEN" placeholder:"ADDR"`
	Run        []string `help:"Parts to run: ingest,rollup,reports. (default: all)" env:"CANYU_RUN" placeholder:"PARTS" name:"run"`
	SMTP       string   `help:"Mail server: smtp://user@host:587 (STARTTLS), smtps://host:465, smtp+plain://127.0.0.1:25." env:"CANYU_SMTP" placeholder:"URL" name:"smtp"`
	From       string   `help:"Sender of the reports." env:"CANYU_FROM" placeholder:"ADDR"`
	Outbox     string   `help:"Write reports as .eml files into this folder instead of mailing them." env:"CANYU_OUTBOX" placeholder:"DIR"`
	Metrics    string   `help:"Address to tell metrics on, instead of --listen." env:"CANYU_METRICS_LISTEN" placeholder:"ADDR" name:"metrics-listen"`
	Calendar   string   `help:"Folder with holiday files (2027.json) that go before the built-in ones." env:"CANYU_CALENDAR" placeholder:"DIR"`
}

// settings are canyu.yaml with the flags laid over it.
type settings struct {
	Listen       string             `yaml:"listen"`
	Data         string             `yaml:"data"`
	Redis        string             `yaml:"redis"`
	Clickhouse   string             `yaml:"clickhouse"`
	KeyFile      string             `yaml:"key_file"`
	Run          []string           `yaml:"run"`
	SMTP         smtpSettings       `yaml:"smtp"`
	Outbox       string             `yaml:"outbox"`
	SpoolLimit   int                `yaml:"spool_limit"`   // MiB that may wait while Redis is away
	BacklogLimit int                `yaml:"backlog_limit"` // participations that may wait for the archive before it is said
	Rebuild      string             `yaml:"rebuild"`       // manual | auto: a ledger that lost its data
	Calendar     string             `yaml:"calendar"`
	Links        linkSettings       `yaml:"links"`
	ReportKeys   []string           `yaml:"report_keys"` // ids; the first signs reports, the others have signed earlier ones
	Connections  int                `yaml:"connections"` // at once; 0: 20,000, or half of the files that may be open
	Viewers      int                `yaml:"viewers"`     // live streams that this node serves at once
	WallWords    string             `yaml:"wall_words"`  // file of words, one a line, that hold a message for a closer look
	Policy       policySettings     `yaml:"policy"`      // of every activity
	Activities   []activitySettings `yaml:"activities"`

	ConnectionsPerAddress int    `yaml:"connections_per_address"` // 0: any number; behind a proxy all come from one
	MetricsListen         string `yaml:"metrics_listen"`          // address of /metrics; else listen's, for machines at hand
	Pprof                 bool   `yaml:"pprof"`                   // profiles too, there
	RedisFile             string `yaml:"redis_file"`              // has the URL: for one with a password
	ClickhouseFile        string `yaml:"clickhouse_file"`

	Watch          onOff    `yaml:"watch"`           // on | off: abuse is held apart or slowed down
	TrustedProxies []string `yaml:"trusted_proxies"` // whose X-Forwarded-For is believed

	activities []*canyu.Activity        // Activities, checked
	themes     map[string]*ingest.Theme // of their pages
	notices    map[string]*ingest.Notice
}

type smtpSettings struct {
	URL          string       `yaml:"url"`
	From         string       `yaml:"from"`
	PasswordFile string       `yaml:"password_file"` // or $CANYU_SMTP_PASSWORD
	CAFile       string       `yaml:"ca_file"`       // PEM, where the system does not know it
	AllowPlain   bool         `yaml:"allow_plain"`   // no TLS to a host that is not this one
	PerMinute    int          `yaml:"per_minute"`    // the most mails in a minute; 0: no limit
	DKIM         dkimSettings `yaml:"dkim"`
}

type dkimSettings struct {
	Domain   string `yaml:"domain"`
	Selector string `yaml:"selector"`
	KeyFile  string `yaml:"key_file"` // PEM, RSA or Ed25519
}

var parts = []string{"ingest", "rollup", "reports"}

// settings reads and checks everything, and joins every mistake into one error.
func (f *Flags) settings() (*settings, error) {
	path := f.Config
	if path == "" {
		if _, err := os.Stat("canyu.yaml"); err == nil {
			path = "canyu.yaml"
		}
	}
	s := &settings{Listen: "127.0.0.1:8080", Data: "data", Run: parts, SpoolLimit: 1024, BacklogLimit: 5_000_000, Rebuild: "manual", Watch: "on",
		Links: linkSettings{Keys: []string{"a"}}, ReportKeys: []string{"a"}, Viewers: 10_000}
	var errs []error
	var unread []string // fields
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("cannot read the configuration: %w", err)
		}
		for _, err := range decodeYAML(text, s) {
			errs = append(errs, fmt.Errorf("%s: %w", path, err))
			if m, ok := errors.AsType[*mistake](err); ok {
				unread = append(unread, m.field)
			}
		}
	}
	for _, o := range []struct{ from, to *string }{
		{&f.Listen, &s.Listen}, {&f.Data, &s.Data}, {&f.Redis, &s.Redis}, {&f.Clickhouse, &s.Clickhouse},
		{&f.KeyFile, &s.KeyFile}, {&f.SMTP, &s.SMTP.URL}, {&f.From, &s.SMTP.From}, {&f.Outbox, &s.Outbox}, {&f.Calendar, &s.Calendar},
		{&f.Metrics, &s.MetricsListen},
	} {
		if *o.from != "" {
			*o.to = *o.from
		}
	}
	if len(f.Run) > 0 {
		s.Run = f.Run
	}
	errs = append(errs, s.readSecrets()...)
	found := slices.DeleteFunc(s.check(), func(err error) bool { // it would be told twice, once of what nobody wrote
		return slices.ContainsFunc(unread, func(field string) bool { return isAbout(err, field) })
	})
	if err := errors.Join(append(errs, found...)...); err != nil {
		return nil, err
	}
	return s, nil
}

// check finds every mistake, and fills activities.
func (s *settings) check() (errs []error) {
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !isAddress(s.Listen) {
		wrong("listen %q: want host:port such as 127.0.0.1:8080", s.Listen)
	}
	if s.Data == "" {
		wrong("data: missing")
	}
	if (s.Redis == "") != (s.Clickhouse == "") {
		wrong("redis and clickhouse: give both, or neither for the embedded engines")
	}
	if s.Redis != "" {
		if err := redisledger.CheckAddress(s.Redis); err != nil {
			wrong("redis: %w", redacted(s.Redis, err))
		}
	}
	if s.Clickhouse != "" {
		if err := clickhousearchive.CheckAddress(s.Clickhouse); err != nil {
			wrong("clickhouse: %w", redacted(s.Clickhouse, err))
		}
	}
	for _, p := range s.Run {
		if !slices.Contains(parts, p) {
			wrong("run: %q is none of %s", p, strings.Join(parts, ", "))
		}
	}
	if len(s.Run) == 0 {
		wrong("run: want at least one of %s", strings.Join(parts, ", "))
	}
	if s.SpoolLimit < 1 {
		wrong("spool_limit %d: want at least 1 (MiB)", s.SpoolLimit)
	}
	if s.BacklogLimit < 1 {
		wrong("backlog_limit %d: want at least 1", s.BacklogLimit)
	}
	if s.Rebuild != "manual" && s.Rebuild != "auto" {
		wrong("rebuild %q: want manual or auto", s.Rebuild)
	}
	if s.Viewers < 1 {
		wrong("viewers %d: want at least 1", s.Viewers)
	}
	if s.Connections < 0 || s.ConnectionsPerAddress < 0 {
		wrong("connections, connections_per_address: want 0 or more")
	}
	switch listens := slices.Contains(s.Run, "ingest") || slices.Contains(s.Run, "reports"); {
	case s.MetricsListen == "":
	case !isAddress(s.MetricsListen):
		wrong("metrics_listen %q: want host:port such as 127.0.0.1:9090", s.MetricsListen)
	case listens && collide(s.Listen, s.MetricsListen):
		wrong("metrics_listen %q: listen is there: want another port", s.MetricsListen)
	}
	if s.Pprof && s.MetricsListen == "" {
		wrong("pprof: needs metrics_listen, at an address that strangers do not reach")
	}
	s.Links.check(wrong)
	s.proxies(wrong)
	s.checkReportKeys(wrong)
	if mail := s.mailConfig(); mail.URL != "" {
		errs = append(errs, each(reports.CheckMail(mail))...)
	}
	if d := s.SMTP.DKIM; d != (dkimSettings{}) && (d.Domain == "" || d.Selector == "" || d.KeyFile == "") {
		wrong("smtp.dkim: give domain, selector and key_file")
	}
	if s.SMTP.PerMinute < 0 {
		wrong("smtp.per_minute %d: want 0 or more", s.SMTP.PerMinute)
	}
	if s.SMTP.URL != "" && s.Outbox != "" {
		wrong("smtp.url and outbox: give one of them")
	}
	if s.Calendar != "" {
		if info, err := os.Stat(s.Calendar); err != nil || !info.IsDir() {
			wrong("calendar %q: is no folder", s.Calendar)
		}
	}
	seen := make(map[string]bool)
	s.themes = make(map[string]*ingest.Theme)
	s.notices = make(map[string]*ingest.Notice)
	s.Policy.check(wrong)
	for i := range s.Activities {
		a, problems := s.Activities[i].activity()
		for _, err := range problems {
			wrong("activities[%d].%w", i, err)
		}
		if seen[a.ID] {
			wrong("activities[%d].id %q: is listed twice", i, a.ID)
		}
		seen[a.ID] = true
		if len(a.Report.Recipients) > 0 && s.SMTP.URL == "" && s.Outbox == "" && slices.Contains(s.Run, "reports") {
			wrong("activities[%d].report.recipients: are given, but neither smtp nor outbox", i)
		}
		s.Activities[i].policy(&s.Policy, a)
		s.activities = append(s.activities, a)
		theme, problems := s.Activities[i].Page.theme(a)
		for _, err := range problems {
			wrong("activities[%d].page.%w", i, err)
		}
		s.themes[a.ID] = theme
		if s.notices[a.ID], problems = s.Activities[i].Consent.notice(); len(problems) > 0 {
			for _, err := range problems {
				wrong("activities[%d].consent.%w", i, err)
			}
		}
	}
	if err := s.screenWalls(); err != nil {
		errs = append(errs, err)
	}
	return errs
}

func isAddress(hostPort string) bool {
	_, port, err := net.SplitHostPort(hostPort)
	if err != nil {
		return false
	}
	_, err = net.LookupPort("tcp", port) // 0–65535, or a name
	return err == nil
}

// collide reports whether one machine cannot listen on both.
func collide(a, b string) bool {
	host, port, err := net.SplitHostPort(a)
	other, same, _ := net.SplitHostPort(b)
	everywhere := func(host string) bool { return host == "" || net.ParseIP(host).IsUnspecified() }
	return err == nil && port == same && port != "0" && port != "" && (host == other || everywhere(host) || everywhere(other))
}

// needActivities is for commands that can do nothing without one.
func (s *settings) needActivities() error {
	if len(s.activities) == 0 {
		return errors.New("no activity: give --config with activities, or try canyu demo")
	}
	return nil
}

// activity is the one that --activity names, or the only one.
func (s *settings) activity(id string) (*canyu.Activity, error) {
	if err := s.needActivities(); err != nil {
		return nil, err
	}
	if id == "" && len(s.activities) == 1 {
		return s.activities[0], nil
	}
	var ids []string
	for _, a := range s.activities {
		if a.ID == id {
			return a, nil
		}
		ids = append(ids, a.ID)
	}
	if id == "" {
		return nil, fmt.Errorf("give --activity: one of %s", strings.Join(ids, ", "))
	}
	return nil, fmt.Errorf("activity %q: want one of %s", id, strings.Join(ids, ", "))
}

// allOr are all activities, or the one that --activity names.
func (s *settings) allOr(id string) ([]*canyu.Activity, error) {
	if id == "" {
		return s.activities, nil
	}
	a, err := s.activity(id)
	return []*canyu.Activity{a}, err
}

// secret reads the key file, and makes it where there is none. Losing or changing
// it means that everybody counts again, which the ledger refuses (canyu.ErrKey).
func (s *settings) secret() ([]byte, error) {
	path := s.keyPath()
	if s.KeyFile == "" {
		if err := os.MkdirAll(s.Data, 0o700); err != nil {
			return nil, fmt.Errorf("cannot make the data folder: %w", err)
		}
	}
	made := make([]byte, 32)
	rand.Read(made)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintln(f, hex.EncodeToString(made))
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		return nil, fmt.Errorf("cannot make the key: %w", err)
	}
	return readKey(path)
}

func readKey(path string) ([]byte, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) < 32 {
		return nil, fmt.Errorf("key %s: want 64 hexadecimal digits or more", path)
	}
	return key, nil
}
