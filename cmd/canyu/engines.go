package main

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest/embeddedledger"
	"github.com/canyu/canyu/ingest/redisledger"
	"github.com/canyu/canyu/rollup/clickhousearchive"
	"github.com/canyu/canyu/rollup/embeddedarchive"
)

// engines are a ledger and an archive that belong together.
type engines struct {
	ledger  canyu.Ledger
	archive canyu.Archive
	// beside: the ledger is held by another process, which does the counting and
	// the rolling up; here it can be read.
	beside bool
}

// engines opens the pair that the settings choose.
func (s *settings) engines(ctx context.Context) (*engines, error) {
	if s.Redis != "" {
		ledger, err := redisledger.Open(ctx, s.Redis)
		if err != nil {
			return nil, redacted(s.Redis, err)
		}
		archive, err := clickhousearchive.Open(ctx, s.Clickhouse)
		if err != nil {
			ledger.Close()
			return nil, redacted(s.Clickhouse, err)
		}
		return &engines{ledger: ledger, archive: archive}, nil
	}
	ledger, err := embeddedledger.Open(ctx, s.Data)
	if err != nil {
		return nil, err
	}
	archive, err := embeddedarchive.Open(ctx, filepath.Join(s.Data, "archive.db"))
	if err != nil {
		ledger.Close()
		return nil, err
	}
	return &engines{ledger: ledger, archive: archive, beside: !ledger.Held()}, nil
}

// late are the engines for a server: Redis and ClickHouse may come after it, but a
// Redis that would lose what it acknowledged is an error at once.
func (s *settings) late(ctx context.Context, log *slog.Logger) (*engines, error) {
	if s.Redis == "" {
		return s.engines(ctx)
	}
	ledger, err := redisledger.Later(s.Redis)
	if err != nil {
		return nil, redacted(s.Redis, err)
	}
	look, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	err = ledger.Check(look)
	if errors.Is(err, redisledger.ErrAway) {
		log.Error("starting without the ledger", "error", redacted(s.Redis, err))
		err = nil
	}
	var archive canyu.Archive
	if err == nil {
		archive, err = clickhousearchive.Later(s.Clickhouse)
	}
	if err != nil {
		ledger.Close()
		return nil, redacted(s.Clickhouse, redacted(s.Redis, err))
	}
	return &engines{ledger: ledger, archive: archive}, nil
}

func (e *engines) close() error { return errors.Join(e.ledger.Close(), e.archive.Close()) }

// open reads the settings and opens what they name, for commands that need an
// activity.
func (f *Flags) open(ctx context.Context) (*settings, *engines, error) {
	s, err := f.settings()
	if err != nil {
		return nil, nil, err
	}
	if err := s.needActivities(); err != nil {
		return nil, nil, err
	}
	e, err := s.engines(ctx)
	return s, e, err
}

// openFor is open for commands about one activity: see settings.activity.
func (f *Flags) openFor(ctx context.Context, activity string) (*settings, *engines, *canyu.Activity, error) {
	s, e, err := f.open(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	a, err := s.activity(activity)
	if err != nil {
		e.close()
		return nil, nil, nil, err
	}
	return s, e, a, nil
}

// holder names this process in claims.
var holder = rand.Text()
