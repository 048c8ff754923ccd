package clickhousearchive

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/canyu/canyu"
)

// Freeze implements canyu.Archive.
func (a *Archive) Freeze(ctx context.Context, f canyu.Frozen) (canyu.Frozen, error) {
	var stored []canyu.Frozen
	server, err := a.exactOne(ctx, "frozen_reports")
	if err == nil {
		stored, err = frozen(ctx, server, f.Activity, f.Region, fmt.Sprintf("toInt64(day) = %d AND revision = %d", f.Day, f.Revision))
	}
	if err == nil && len(stored) == 0 {
		err = a.insert(ctx, "frozen_reports", "activity, region, day, revision, as_of, body, at",
			[]string{f.Activity}, []uint32{uint32(f.Region)}, []time.Time{date(f.Day)}, []uint32{uint32(f.Revision)},
			[]int64{f.AsOf.Unix()}, []string{string(f.Body)}, []int64{a.now().UnixMicro()})
		f.AsOf = seconds(f.AsOf.Unix())
		stored = []canyu.Frozen{f}
	}
	if err != nil {
		return canyu.Frozen{}, fmt.Errorf("cannot freeze the report: %w", err)
	}
	return stored[0], nil
}

// Frozen implements canyu.Archive.
func (a *Archive) Frozen(ctx context.Context, activity string, region canyu.Region) ([]canyu.Frozen, error) {
	frozen, err := frozen(ctx, a.conn, activity, region, "1")
	if err != nil {
		return nil, fmt.Errorf("cannot read frozen reports: %w", err)
	}
	return frozen, nil
}

func frozen(ctx context.Context, conn driver.Conn, activity string, region canyu.Region, condition string) ([]canyu.Frozen, error) {
	rows, err := conn.Query(ctx, `SELECT activity, region, toUInt16(day), revision, as_of, body FROM frozen_reports FINAL
		WHERE activity = ? AND `+condition+ofRegion(region)+` ORDER BY day, revision, region`, activity)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var all []canyu.Frozen
	for rows.Next() {
		var f canyu.Frozen
		var region, revision uint32
		var day uint16
		var asOf int64
		var body string
		if err := rows.Scan(&f.Activity, &region, &day, &revision, &asOf, &body); err != nil {
			return nil, err
		}
		f.Region, f.Day, f.Revision, f.AsOf, f.Body = canyu.Region(region), canyu.Day(day), int(revision), seconds(asOf), []byte(body)
		all = append(all, f)
	}
	return all, rows.Err()
}

// ofRegion is a further condition, none for region 0.
func ofRegion(region canyu.Region) string {
	if region == 0 {
		return ""
	}
	return fmt.Sprintf(" AND region = %d", uint32(region))
}

// SetDelivery implements canyu.Archive.
func (a *Archive) SetDelivery(ctx context.Context, d canyu.Delivery) error {
	previous, err := a.newestVersion(ctx, "report_deliveries", "activity = ?"+ofRegion(d.Region), d.Activity)
	if err == nil {
		err = a.insert(ctx, "report_deliveries", "activity, region, day, revision, school, recipient, state, attempts, at, answer, version",
			[]string{d.Activity}, []uint32{uint32(d.Region)}, []time.Time{date(d.Day)}, []uint32{uint32(d.Revision)}, []uint64{uint64(d.School)}, []string{d.Recipient},
			[]string{string(d.State)}, []uint32{uint32(d.Attempts)}, []int64{d.At.Unix()}, []string{d.Answer}, []uint64{a.version(previous)})
	}
	if err != nil {
		return fmt.Errorf("cannot record the delivery: %w", err)
	}
	return nil
}

// Deliveries implements canyu.Archive.
func (a *Archive) Deliveries(ctx context.Context, activity string, region canyu.Region) ([]canyu.Delivery, error) {
	server, err := a.exactOne(ctx, "report_deliveries")
	if err != nil {
		return nil, fmt.Errorf("cannot read deliveries: %w", err)
	}
	rows, err := server.Query(ctx, `SELECT activity, region, toUInt16(day), revision, school, recipient, state, attempts, at, answer
		FROM report_deliveries FINAL WHERE activity = ?`+ofRegion(region)+` ORDER BY day, region, revision, school, recipient`, activity)
	if err != nil {
		return nil, fmt.Errorf("cannot read deliveries: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var all []canyu.Delivery
	for rows.Next() {
		var d canyu.Delivery
		var region, revision, attempts uint32
		var day uint16
		var at int64
		var school uint64
		var state string
		if err := rows.Scan(&d.Activity, &region, &day, &revision, &school, &d.Recipient, &state, &attempts, &at, &d.Answer); err != nil {
			return nil, fmt.Errorf("cannot read deliveries: %w", err)
		}
		d.Region, d.Day, d.Revision, d.State = canyu.Region(region), canyu.Day(day), int(revision), canyu.DeliveryState(state)
		d.School, d.Attempts, d.At = canyu.SchoolCode(school), int(attempts), seconds(at)
		all = append(all, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cannot read deliveries: %w", err)
	}
	return all, nil
}
