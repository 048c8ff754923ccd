package embeddedarchive

import (
	"context"
	"database/sql"
	"encoding/json"
	"iter"
	"time"

	"github.com/canyu/canyu"
)

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// collect reads all rows of a query.
func collect[T any](ctx context.Context, q querier, scan func(*sql.Rows, *T) error, query string, args ...any) ([]T, error) {
	var all []T
	for v, err := range stream(ctx, q, scan, query, args...) {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// stream yields the rows of a query as they are read, and an error last.
func stream[T any](ctx context.Context, q querier, scan func(*sql.Rows, *T) error, query string, args ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		rows, err := q.QueryContext(ctx, query, args...)
		if err != nil {
			yield(zero, err)
			return
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var v T
			if err := scan(rows, &v); err != nil {
				yield(zero, err)
				return
			}
			if !yield(v, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(zero, err)
		}
	}
}

// inSchools is a condition on g.school and its argument: a JSON list, because a
// query has a limited number of arguments and a region may have more schools.
func inSchools(schools []canyu.SchoolCode) (string, []any) {
	if schools == nil {
		return "", nil
	}
	codes := make([]uint64, len(schools)) // as numbers, where SchoolCode writes itself as text
	for i, s := range schools {
		codes[i] = uint64(s)
	}
	list, _ := json.Marshal(codes) // numbers cannot fail
	return " AND g.school IN (SELECT value FROM json_each(?))", []any{string(list)}
}

func milli(ms int64) time.Time  { return time.UnixMilli(ms).UTC() }
func seconds(s int64) time.Time { return time.Unix(s, 0).UTC() }
