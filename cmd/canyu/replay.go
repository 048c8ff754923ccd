package main

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
)

type replayCommand struct {
	Flags
	File string `arg:"" help:"The file: one JSON object a line, each with its own \"at\". May end in .gz." type:"existingfile"`
}

// Run records the file and brings the archive up to it.
func (c *replayCommand) Run(ctx context.Context, out stdout, errOut stderr) (err error) {
	s, e, err := c.open(ctx)
	if err != nil {
		return err
	}
	defer e.close()
	if e.beside {
		return fmt.Errorf("%w: stop it first, or post the submissions to it", canyu.ErrHeld)
	}
	secret, err := s.secret()
	if err != nil {
		return err
	}
	lines, err := openLines(c.File)
	if err != nil {
		return err
	}
	defer lines.Close()
	sum, err := fileSum(c.File)
	if err != nil {
		return err
	}
	if err := s.audit(ctx, e, canyu.AuditEntry{What: canyu.AuditReplay, Target: sum}); err != nil {
		return err
	}

	server := ingest.NewServer(ingest.Config{Activities: s.activities, Ledger: e.ledger, Archive: e.archive, Secret: secret,
		Log: slog.New(slog.NewTextHandler(errOut, nil))})
	if err := server.Prepare(ctx); err != nil {
		return err
	}
	refused := &refusedFile{path: c.File + ".refused"}
	totals, err := server.Replay(ctx, lines, refused, func(t ingest.Totals) {
		fmt.Fprintf(errOut, "%d lines, %d accepted\n", t.Lines, t.Accepted)
	})
	err = errors.Join(err, refused.close())
	printTotals(out, totals)
	if err != nil {
		return err
	}
	return s.drain(ctx, e, errOut)
}

// printTotals prints one line of totals by outcome.
func printTotals(out io.Writer, t ingest.Totals) {
	fmt.Fprintf(out, "lines=%d accepted=%d counted=%d repeats=%d", t.Lines, t.Accepted, t.Counted, t.Accepted-t.Counted)
	for _, outcome := range slices.Sorted(maps.Keys(t.Refused)) {
		fmt.Fprintf(out, " %s=%d", outcome, t.Refused[outcome])
	}
	fmt.Fprintln(out)
}

// openLines opens a file, unzipping it if its name ends in .gz.
func openLines(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil || !strings.HasSuffix(path, ".gz") {
		return f, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("cannot unzip %s: %w", path, err)
	}
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

// refusedFile is made when the first line goes into it. It has what people typed,
// so only its owner may read it.
type refusedFile struct {
	path string
	file *os.File
}

func (r *refusedFile) Write(p []byte) (n int, err error) {
	if r.file == nil {
		if r.file, err = os.OpenFile(r.path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600); err != nil {
			return 0, err
		}
	}
	return r.file.Write(p)
}

func (r *refusedFile) close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}
