package loadtest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/canyu/canyu/loadtest"
)

// canyuCommand runs "canyu loadtest …" as cmd/canyu does.
func canyuCommand(ctx context.Context, out io.Writer, args ...string) error {
	var c struct {
		Loadtest loadtest.Command `cmd:""`
	}
	p, err := kong.New(&c, kong.Name("canyu"), kong.BindTo(ctx, (*context.Context)(nil)), kong.BindTo(out, (*io.Writer)(nil)))
	if err != nil {
		return err
	}
	k, err := p.Parse(args)
	if err != nil {
		return err
	}
	return k.Run()
}

// The test program is also the canyu whose servers the bench starts.
func TestMain(m *testing.M) {
	if len(os.Args) < 2 || os.Args[1] != "loadtest" {
		m.Run()
		return
	}
	if err := canyuCommand(context.Background(), os.Stdout, os.Args[1:]...); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}

func TestCommandLoadsAndReconciles(t *testing.T) {
	t.Parallel()
	url := listen(t, newCounter(func(body) int { return 1 }).handle)
	var out bytes.Buffer
	args := []string{"loadtest", "--target", url, "--activity", "qingming-2017", "--schools", "3", "--connections", "10", "--quiet"}
	if err := canyuCommand(t.Context(), &out, append(args, "--count", "200", "--rate", "1000")...); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "200 acknowledged, 200 counted") || !strings.Contains(out.String(), "no difference") {
		t.Errorf("said %s", out.String())
	}

	// The same pupils again are repeats; JSON says so.
	out.Reset()
	if err := canyuCommand(t.Context(), &out, append(args, "--count", "250", "--json")...); err != nil {
		t.Fatal(err)
	}
	var res loadtest.Result
	if err := json.Unmarshal(out.Bytes(), &res); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if res.Outcomes[loadtest.Counted] != 50 || res.Outcomes[loadtest.Repeat] != 200 || res.Reconciliation.Counted != 50 {
		t.Errorf("said %s", out.String())
	}
}

func TestCommandFailsOnADifference(t *testing.T) {
	t.Parallel()
	first := true
	url := listen(t, newCounter(func(body) int {
		if first {
			first = false
			return 0
		}
		return 1
	}).handle)
	var out bytes.Buffer
	err := canyuCommand(t.Context(), &out, "loadtest", "run", "--target", url, "--activity", "qingming-2017", "--schools", "1", "--count", "100", "--quiet")
	if !errors.Is(err, loadtest.ErrDifference) || !strings.Contains(out.String(), "1 DIFFER") {
		t.Errorf("%v: %s", err, out.String())
	}
}

func TestCommandTakesTheServersRoster(t *testing.T) {
	t.Parallel()
	var file bytes.Buffer
	if err := canyuCommand(t.Context(), &file, "loadtest", "roster", "--schools", "2", "--enrolled", "7"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "roster.csv")
	if err := os.WriteFile(path, file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	url := listen(t, newCounter(func(body) int { return 1 }).handle)
	var out bytes.Buffer
	if err := canyuCommand(t.Context(), &out, "loadtest", "--target", url, "--activity", "qingming-2017", "--roster", path, "--duration", "1m", "--quiet"); err != nil {
		t.Fatal(err)
	}
	if want := "840 acknowledged, 840 counted"; !strings.Contains(out.String(), want) {
		t.Errorf("said %s; want %s and an end when the roster is used up", out.String(), want)
	}
	err := canyuCommand(t.Context(), &out, "loadtest", "--target", "http://192.0.2.1", "--activity", "x")
	if !errors.Is(err, loadtest.ErrRemote) {
		t.Errorf("another machine: %v", err)
	}
}

func TestBenchMeasuresServersOfItsOwn(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := canyuCommand(t.Context(), &out, "loadtest", "bench", "--rows", "bare", "--rounds", "2", "--round", "200ms", "--warmup", "50ms",
		"--connections", "8", "--patience", "0s", "--dir", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "| bare") || !strings.Contains(out.String(), "1.00 (1.00–1.00)") {
		t.Errorf("said %s", out.String())
	}
	err = canyuCommand(t.Context(), &out, "loadtest", "bench", "--rows", "nonsense", "--dir", t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Errorf("row nonsense: %v", err)
	}
}

// The bench makes a PostgreSQL of its own, also as root, and its counts are a query.
func TestBenchStartsPostgres(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := canyuCommand(t.Context(), &out, "loadtest", "bench", "--rows", "bare,postgres/8,postgres/4", "--rounds", "1", "--round", "200ms", "--warmup", "100ms",
		"--connections", "8", "--patience", "0s", "--schools", "20", "--json")
	if err != nil {
		t.Fatal(err)
	}
	var table struct {
		Rows []struct {
			Row        string
			Reconciled bool
			Requests   int
		}
	}
	if err := json.Unmarshal(out.Bytes(), &table); err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"postgres/8", "postgres/4"} { // the same pupils are new in each
		if row := table.Rows[1+i]; row.Row != name || !row.Reconciled || row.Requests == 0 {
			t.Errorf("said %s", out.String())
		}
	}
}
