package baseline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/canyu/canyu"
)

// Postgres is the service that most would write: net/http, encoding/json, a pool of
// connections and one INSERT … ON CONFLICT DO NOTHING for each request. The roster is
// kept in memory, so that a request is one round trip, and counts are a query. What
// it acknowledges is durable (synchronous_commit is PostgreSQL's default) and counted
// once: it is the only baseline that keeps canyu's first two promises. It knows
// nothing of days, spools, receipts, ordinals and lost replies, and stores seats as
// they are.
type Postgres struct {
	Pool   *pgxpool.Pool
	Roster *canyu.Roster
}

const postgresSchema = `CREATE TABLE IF NOT EXISTS participants (
  activity text, school bigint, grade smallint, class smallint, role text, seat smallint,
  id text, at timestamptz NOT NULL, message text,
  PRIMARY KEY (activity, school, grade, class, role, seat)
)`

// Prepare makes the table.
func (p *Postgres) Prepare(ctx context.Context) error {
	if _, err := p.Pool.Exec(ctx, postgresSchema); err != nil {
		return fmt.Errorf("cannot make the table: %w", err)
	}
	return nil
}

// Serve answers on ln until ctx ends.
func (p *Postgres) Serve(ctx context.Context, ln net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("POST "+Path, p.submit)
	mux.HandleFunc("GET /v1/activities/{activity}/counts", p.counts)
	s := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(ln) }()
	select {
	case err := <-failed:
		return fmt.Errorf("cannot serve: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := s.Shutdown(last); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("cannot shut down: %w", err)
	}
	return nil
}

const insertParticipant = `INSERT INTO participants (activity, school, grade, class, role, seat, id, at, message)
VALUES ($1, $2, $3, $4, $5, $6, $7, now(), $8) ON CONFLICT DO NOTHING`

func (p *Postgres) submit(w http.ResponseWriter, r *http.Request) {
	var s submission
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&s); err != nil {
		http.Error(w, "malformed", http.StatusBadRequest)
		return
	}
	code, err := canyu.ParseSchoolCode(s.School)
	school := p.Roster.School(code)
	if err != nil || school == nil || s.Activity == "" || s.Role == "" || s.Grade < 1 || s.Grade > canyu.MaxGrade || s.Class < 1 || s.Class > canyu.MaxClass {
		http.Error(w, "incomplete", http.StatusUnprocessableEntity)
		return
	}
	if enrolled, ok := school.Enrolled(uint8(s.Grade), uint16(s.Class)); !ok || s.Seat < 1 || s.Seat > enrolled {
		http.Error(w, "no such seat", http.StatusUnprocessableEntity)
		return
	}
	tag, err := p.Pool.Exec(r.Context(), insertParticipant, s.Activity, int64(code), s.Grade, s.Class, s.Role, s.Seat, s.ID, s.Message)
	if err != nil {
		http.Error(w, "not recorded", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if tag.RowsAffected() == 1 {
		w.WriteHeader(http.StatusCreated)
	}
	_, _ = w.Write(strconv.AppendBool([]byte(`{"counted":`), tag.RowsAffected() == 1))
	_, _ = w.Write([]byte("}"))
}

const countClasses = `SELECT grade, class, count(*) FROM participants
WHERE activity = $1 AND school = $2 AND role = 'student' GROUP BY grade, class`

func (p *Postgres) counts(w http.ResponseWriter, r *http.Request) {
	type class struct {
		Grade        int            `json:"grade"`
		Class        int            `json:"class"`
		Participants map[string]int `json:"participants"`
	}
	code, err := canyu.ParseSchoolCode(r.URL.Query().Get("school"))
	if err != nil {
		http.Error(w, "school?", http.StatusBadRequest)
		return
	}
	rows, err := p.Pool.Query(r.Context(), countClasses, r.PathValue("activity"), int64(code))
	if err != nil {
		http.Error(w, "not counted", http.StatusServiceUnavailable)
		return
	}
	defer rows.Close()
	classes := []class{}
	for rows.Next() {
		var c class
		var n int
		if err = rows.Scan(&c.Grade, &c.Class, &n); err != nil {
			break
		}
		c.Participants = map[string]int{"student": n}
		classes = append(classes, c)
	}
	if err := errors.Join(err, rows.Err()); err != nil {
		http.Error(w, "not counted", http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"classes": classes})
}
