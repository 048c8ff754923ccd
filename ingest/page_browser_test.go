package ingest_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/valyala/fasthttp/fasthttputil"
	"golang.org/x/net/html"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
	"github.com/canyu/canyu/ingest/embeddedledger"
)

// rosterArchive is as much of an archive as the student page sees.
type rosterArchive struct {
	canyu.Archive
	roster *canyu.Roster

	mu    sync.Mutex
	epoch map[string]string
}

func (a *rosterArchive) Roster(context.Context) (*canyu.Roster, error) { return a.roster, nil }

func (a *rosterArchive) SetRefusals(context.Context, string, string, []canyu.Refusal) error {
	return nil
}

func (a *rosterArchive) Epoch(_ context.Context, activity string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.epoch[activity], nil
}

func (a *rosterArchive) SetEpoch(_ context.Context, activity, epoch string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.epoch[activity] = epoch
	return nil
}

func (a *rosterArchive) Purged(context.Context, string) (canyu.Purged, error) {
	return canyu.Purged{}, nil
}

func (a *rosterArchive) Salt(context.Context, string) ([]byte, error) { return nil, nil }

func (a *rosterArchive) MakeSalt(_ context.Context, _ string, salt []byte) ([]byte, error) {
	return salt, nil
}

func (a *rosterArchive) Terms(context.Context, string) (canyu.Terms, error) {
	return canyu.Terms{}, nil
}

func (a *rosterArchive) SetTerms(context.Context, string, canyu.Terms) error { return nil }

func (a *rosterArchive) HeldDecisions(context.Context, string, []canyu.SchoolCode) ([]canyu.HeldDecision, error) {
	return nil, nil
}

var shanghai = time.FixedZone("CST", 8*3600)

func qingming() *canyu.Activity {
	return &canyu.Activity{
		ID:       "qingming-2017",
		Title:    canyu.Text{"zh-Hans": "网上祭英烈", "zh-Hant": "網上祭英烈", "en": "Online memorial"},
		Zone:     shanghai,
		FirstDay: canyu.NewDay(2017, 4, 1), LastDay: canyu.NewDay(2017, 4, 7),
		Steps:    []string{"bow", "flower", "message"},
		Roles:    []canyu.Role{canyu.Student, canyu.Parent, canyu.Teacher},
		Identify: canyu.BySeat,
		Report:   canyu.ReportPlan{Days: canyu.WorkingDays},
	}
}

// site is a server with a page.
type site struct {
	t      testing.TB
	server *ingest.Server
	http   *http.Client
	log    *strings.Builder
	stop   func()
}

// newSite serves the activity at instant now with the sample roster. The ledger is
// returned so that a test can take it away.
func newSite(t testing.TB, a *canyu.Activity, now string, roster *canyu.Roster, theme ...*ingest.Theme) (*site, canyu.Ledger) {
	t.Helper()
	return newSiteOf(t, a, now, roster, func(c *ingest.Config) {
		for _, th := range theme {
			c.Themes = map[string]*ingest.Theme{a.ID: th}
		}
	})
}

// newSiteOf is newSite with a configuration that is changed.
func newSiteOf(t testing.TB, a *canyu.Activity, now string, roster *canyu.Roster, change func(*ingest.Config)) (*site, canyu.Ledger) {
	t.Helper()
	at, err := time.ParseInLocation(time.DateTime, now, shanghai)
	if err != nil {
		t.Fatal(err)
	}
	ledger, err := embeddedledger.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	out := &strings.Builder{}
	config := ingest.Config{
		Activities: []*canyu.Activity{a},
		Ledger:     ledger,
		Archive:    &rosterArchive{roster: roster, epoch: make(map[string]string)},
		Secret:     []byte("0123456789abcdef0123456789abcdef"),
		Now:        func() time.Time { return at },
		Log:        slog.New(slog.NewTextHandler(out, nil)),
	}
	change(&config)
	s := ingest.NewServer(config)
	ln := fasthttputil.NewInmemoryListener()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return ln.Dial() }}
	w := &site{t: t, server: s, log: out, http: &http.Client{Transport: transport, Timeout: time.Minute}}
	w.stop = sync.OnceFunc(func() {
		transport.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		ledger.Close()
	})
	t.Cleanup(w.stop)
	for begin := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if r := w.do("GET", "/readyz", nil, ""); r.status == 200 {
			return w, ledger
		} else if time.Since(begin) > time.Minute {
			t.Fatalf("the server is not ready: %s", r.body)
		}
	}
}

// screen is a page as a browser without scripts has it.
type screen struct {
	t      testing.TB
	status int
	header http.Header
	body   string
	root   *html.Node
}

func (w *site) do(method, target string, form url.Values, accept string) *screen {
	w.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, "http://canyu"+target, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if accept != "" {
		req.Header.Set("Accept-Language", accept)
	}
	resp, err := w.http.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	root, err := html.Parse(strings.NewReader(string(b)))
	if err != nil {
		w.t.Fatal(err)
	}
	return &screen{w.t, resp.StatusCode, resp.Header, string(b), root}
}

func (w *site) get(target string) *screen { w.t.Helper(); return w.do("GET", target, nil, "") }

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

// all are the elements that are shown: those in a template or hidden are not.
func (s *screen) all(tag string) (found []*html.Node) {
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if _, hidden := attr(n, "hidden"); hidden || n.Data == "template" {
			return
		}
		if n.Type == html.ElementNode && (tag == "" || n.Data == tag) {
			found = append(found, n)
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(s.root)
	return found
}

func textOf(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		if _, hidden := attr(c, "hidden"); !hidden && c.Data != "template" {
			b.WriteString(textOf(c))
		}
	}
	return b.String()
}

// text is what is shown, with single spaces.
func (s *screen) text() string { return strings.Join(strings.Fields(textOf(s.root)), " ") }

func (s *screen) shows(parts ...string) {
	s.t.Helper()
	for _, part := range parts {
		if !strings.Contains(s.text(), part) {
			s.t.Errorf("the page does not show %q:\n%s", part, s.text())
		}
	}
}

// links are the addresses of the links in main, by their text.
func (s *screen) links() map[string]string {
	found := make(map[string]string)
	for _, a := range s.all("a") {
		found[strings.TrimSpace(textOf(a))], _ = attr(a, "href")
	}
	return found
}

// follow clicks the link with this text.
func (w *site) follow(s *screen, text string) *screen {
	w.t.Helper()
	target, ok := s.links()[text]
	if !ok {
		w.t.Fatalf("no link %q in %v", text, s.links())
	}
	next := w.get(target)
	if next.status != 200 {
		w.t.Fatalf("%s: %d", target, next.status)
	}
	return next
}

// fields are what the form would send as it stands; unticked boxes are not sent.
func (s *screen) fields() url.Values {
	v := make(url.Values)
	for _, n := range append(s.all("input"), s.all("textarea")...) {
		name, _ := attr(n, "name")
		value, _ := attr(n, "value")
		if kind, _ := attr(n, "type"); kind == "checkbox" {
			if _, ticked := attr(n, "checked"); !ticked {
				continue
			}
		}
		if n.Data == "textarea" {
			value = textOf(n)
		}
		v.Add(name, value)
	}
	return v
}

// send fills the form in and submits it.
func (w *site) send(s *screen, fill url.Values) *screen {
	w.t.Helper()
	forms := s.all("form")
	if len(forms) != 1 {
		w.t.Fatalf("%d forms:\n%s", len(forms), s.text())
	}
	v := s.fields()
	for k, values := range fill {
		v[k] = values
	}
	action, _ := attr(forms[0], "action")
	return w.do("POST", action, v, "")
}
