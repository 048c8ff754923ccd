package main

import (
	"context"
	"crypto/rand"
	"errors"
	"path/filepath"

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

// holder names this process in claims.
var holder = rand.Text()
