package main

import (
	"bytes"
	"context"
	"log/slog"

	"github.com/valyala/fasthttp"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
	"github.com/canyu/canyu/reports"
	"github.com/canyu/canyu/reports/linksheet"
)

// pages answers /school/…, /bureau/… and /pages/….
func (s *settings) pages(e *engines, secret []byte, switches func(string) canyu.Switches, log *slog.Logger) fasthttp.RequestHandler {
	calendar, err := reports.LoadCalendar(s.Calendar)
	if err != nil {
		log.Error("the pages know no calendar", "error", err) // canyu check says more
	}
	keys := s.keyring(secret)
	book := &ingest.SeatBook{Ledger: e.ledger, Keys: ingest.Keys{Archive: e.archive, Secret: secret}}
	watch := &reports.Sender{Archive: e.archive, Ledger: e.ledger, Calendar: calendar, Activities: s.activities, Log: log}
	p := &reports.Pages{
		Activities: s.activities, Archive: e.archive, Ledger: e.ledger, Links: keys, Calendar: calendar, Log: log,
		Audit:    s.auditLog(e, secret),
		Switches: switches,
		Signer:   s.signer(secret),
		Seats:    book.Done,
		Receipt:  book.Receipt,
		ClassLinks: func(_ context.Context, a *canyu.Activity, school *canyu.School, lang string) ([]byte, error) {
			sheet := linksheet.Sheet{Lang: lang, Activity: a, School: school, Expires: (a.LastDay + canyu.LatestReport).End(a.Zone)}
			sheet.Link = func(class canyu.SchoolClass) (string, error) {
				token, err := keys.Sign(canyu.Scope{Kind: canyu.ClassScope, Activity: a.ID, Region: school.Region,
					School: school.Code, Grade: int(class.Grade), Class: int(class.Number)}, sheet.Expires)
				return s.linkTo(token), err
			}
			var b bytes.Buffer
			err := sheet.Write(&b)
			return b.Bytes(), err
		},
	}
	if calendar != nil {
		p.Alarms = watch.Alarms
	}
	return p.Handle
}
