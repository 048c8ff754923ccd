package loadtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"
)

// GoalsCmd is canyu loadtest goals, which make bench runs: every number that canyu is to
// reach on two cores, measured in one run, each beside its baseline. The tables behind
// them are those of bench, latency, growth and national.
type GoalsCmd struct {
	Parts        string        `help:"Which parts: throughput, memory, latency, report, growth, national." default:"throughput,memory,latency,report,growth,national"`
	Rounds       int           `help:"How often each is measured." default:"3"`
	Round        time.Duration `help:"How long each time; latency five times that." default:"6s"`
	Connections  int           `help:"How many connections." default:"256"`
	Kept         int64         `help:"Participants, for the memory of each." default:"1000000"`
	Recorded     int64         `help:"Participants that are recorded already, for growth." default:"10000000"`
	Participants int64         `help:"Of the national campaign." default:"13830890"`
	Patience     time.Duration `help:"How long to wait at most for a quiet machine." default:"10s"`
	Limit        time.Duration `help:"Give up a part after this long." default:"1h"`
	Place        `embed:""`
}

// goal is one number to reach.
type goal struct {
	what   string
	least  float64 // 0: no goal
	most   float64 // 0: no goal
	unit   string
	found  spread
	beside string // the baseline of the same run
}

// Run measures part by part, and prints the table of those that could be measured. It
// fails where one could not, not where a number is missed.
func (c *GoalsCmd) Run(ctx context.Context, out io.Writer) error {
	if c.Rounds < 1 || c.Round <= 0 {
		return errors.New("rounds and round: want at least one round of some length")
	}
	parts := map[string]func(context.Context) ([]goal, error){
		"throughput": c.throughput, "memory": c.memory, "latency": c.latency, "report": c.report, "growth": c.growth, "national": c.national,
	}
	for _, name := range splitList(c.Parts) {
		if parts[name] == nil {
			return fmt.Errorf("part %q: want throughput, memory, latency, report, growth or national", name)
		}
	}
	rows := [][]string{{"", "to reach", "measured", "", "in the same run"}}
	var errs error
	for _, name := range splitList(c.Parts) {
		limit, cancel := context.WithTimeout(ctx, c.Limit)
		goals, err := parts[name](limit)
		cancel()
		if err != nil {
			errs = errors.Join(errs, fmt.Errorf("%s: %w", name, err))
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		}
		for _, g := range goals {
			rows = append(rows, g.row())
			fmt.Fprintf(os.Stderr, "=== %s\n", strings.Join(g.row(), " | "))
		}
	}
	fmt.Fprintf(out, "\n%d CPUs, %s, %d connections, median of %d rounds (least–greatest); ratios are of the same round.\n\n", runtime.NumCPU(), runtime.Version(), c.Connections, c.Rounds)
	if err := table(out, rows); err != nil {
		return errors.Join(err, errs)
	}
	fmt.Fprint(out, "\nBy commands of their own: faults (make chaos), reports of the nation (go test -run - -bench ReportNation -benchtime 1x ./cmd/canyu),\n"+
		"the student page (CANYU_BROWSER_ARGS=\"--project=measure --no-deps\" go test ./cmd/canyu -run 'TestBrowser$').\n")
	return errs
}

func (g *goal) row() []string {
	reach, reached := "–", ""
	switch {
	case g.least > 0:
		reach, reached = fmt.Sprintf("≥ %g%s", g.least, g.unit), mark(g.found.Median >= g.least)
	case g.most > 0:
		reach, reached = fmt.Sprintf("≤ %g%s", g.most, g.unit), mark(g.found.Median <= g.most)
	}
	return []string{g.what, reach, g.found.text("%.2f") + g.unit, reached, g.beside}
}

// known is 0 for a ratio to what was too short to be measured.
func known(s *spread) spread {
	if s == nil {
		return spread{}
	}
	return *s
}

func mark(reached bool) string {
	if reached {
		return "reached"
	}
	return "missed"
}

// schoolsOfCounty have 1.2 million pupils: about what the embedded engine is for, and more
// than a round of latency uses up.
const schoolsOfCounty = 400

// throughput: the embedded engine apart, for its archive is written when the machine seems
// to have nothing to do.
func (c *GoalsCmd) throughput(ctx context.Context) (goals []goal, err error) {
	cmd := BenchCmd{Rounds: c.Rounds, Round: c.Round, Warmup: 2 * time.Second, Patience: c.Patience, Connections: c.Connections, Pool: 64, Place: c.Place}
	cmd.Rows = "bare,percommand,redis"
	err = cmd.measured(ctx, func(b *bench) error {
		lines := b.lines()
		bare, percommand, redis := lines[0], lines[1], lines[2]
		beside := fmt.Sprintf("bare %s, percommand %s, canyu %s requests/s", bare.Rate.text("%.0f"), percommand.Rate.text("%.0f"), redis.Rate.text("%.0f"))
		goals = append(goals,
			goal{what: "throughput, Redis engine ÷ bare fasthttp", least: 0.7, found: known(redis.Bare), beside: beside},
			goal{what: "throughput, Redis engine ÷ one command for each request", least: 14, found: known(redis.PerCommand),
				beside: "bare fasthttp, which does nothing: " + known(bare.PerCommand).text("%.2f")},
			goal{what: "CPU of the server ÷ bare fasthttp's, Redis engine, without Redis", found: known(redis.CPUToBare),
				beside: fmt.Sprintf("%s µs, bare %s; Redis %s", redis.ServerCPU.text("%.1f"), bare.ServerCPU.text("%.1f"), redis.StoreCPU.text("%.1f"))})
		return nil
	})
	if err != nil {
		return goals, err
	}
	const fastest = 60_000 // requests per second that the embedded engine does not reach
	used := fastest * (cmd.Warmup + time.Duration(c.Rounds)*c.Round).Seconds()
	cmd.Rows, cmd.Schools = "bare,embedded", schoolsFor(int64(used)).Schools
	err = cmd.measured(ctx, func(b *bench) error {
		lines := b.lines()
		bare, embedded := lines[0], lines[1]
		goals = append(goals,
			goal{what: "throughput, embedded engine ÷ bare fasthttp", least: 0.6, found: known(embedded.Bare),
				beside: fmt.Sprintf("bare %s, canyu %s requests/s", bare.Rate.text("%.0f"), embedded.Rate.text("%.0f"))},
			goal{what: "CPU of the server ÷ bare fasthttp's, embedded engine with its archive", found: known(embedded.CPUToBare),
				beside: fmt.Sprintf("%s µs, bare %s", embedded.ServerCPU.text("%.1f"), bare.ServerCPU.text("%.1f"))})
		return nil
	})
	return goals, err
}

func (c *GoalsCmd) growthCmd() *GrowthCmd {
	return &GrowthCmd{Rounds: c.Rounds, Round: c.Round, Warmup: time.Second, Connections: c.Connections, Patience: c.Patience, Quiet: true, Limit: c.Limit, Place: c.Place}
}

// memory is what used_memory has grown by, everything included.
func (c *GoalsCmd) memory(ctx context.Context) ([]goal, error) {
	found, err := c.growthCmd().memoryOf(ctx, "redis+clickhouse", []int64{c.Kept})
	if err != nil {
		return nil, err
	}
	bytes := found[0].each[0]
	return []goal{{what: fmt.Sprintf("Redis memory for each of %s participants", thousands(c.Kept)), most: 12, unit: " bytes", found: spread{bytes, bytes, bytes},
		beside: fmt.Sprintf("eight bytes are the participant; ClickHouse, compressed: %.1f bytes a participant, %.1f a submission", found[0].each[2], found[0].each[3])}}, nil
}

// latency: every round on new servers, engine after engine.
func (c *GoalsCmd) latency(ctx context.Context) (goals []goal, err error) {
	engines := []string{"bare", "embedded", "redis", "redis+clickhouse"}
	cmd := LatencyCmd{Flood: c.Round, Duration: 5 * c.Round, Rounds: 1, Share: 0.5, Marks: 2, Connections: c.Connections, Schools: schoolsOfCounty, Patience: c.Patience, Place: c.Place}
	rounds := make([][]latencyRound, len(engines))
	for range c.Rounds {
		found, err := cmd.measured(ctx, engines)
		if err != nil {
			return nil, err
		}
		for i := range engines {
			rounds[i] = append(rounds[i], found[i]...)
		}
	}
	of := func(engine int, f func(latencyRound) float64) spread { return spreadOver(rounds[engine], f) }
	p99 := func(r latencyRound) float64 { return r.p99 }
	second := func(r latencyRound) float64 { return r.second }
	rate := func(r latencyRound) float64 { return r.rate }
	for i := 1; i < len(engines); i++ {
		goals = append(goals, goal{what: "p99 at half of the highest rate, open model: " + engines[i], most: 5, unit: " ms", found: of(i, p99),
			beside: fmt.Sprintf("of the median second %s; at %s/s; bare at %s/s: %s", of(i, second).text("%.2f"), of(i, rate).text("%.0f"), of(0, rate).text("%.0f"), of(0, p99).text("%.2f"))})
	}
	for i := 1; i < len(engines); i++ {
		goals = append(goals, goal{what: "click → the school's live counts, p99, under that load: " + engines[i], most: 1, unit: " s",
			found: of(i, func(r latencyRound) float64 { return quantile(r.live, 99).Seconds() }), beside: "at most one event a second"})
		if engines[i] != "redis" { // the ingest node by itself
			goals = append(goals, goal{what: "click → archive, p99, under that load: " + engines[i], most: 5, unit: " s",
				found:  of(i, func(r latencyRound) float64 { return quantile(r.archive, 99).Seconds() }),
				beside: "seen up to 1.1 s after it was there; p50 " + of(i, func(r latencyRound) float64 { return quantile(r.archive, 50).Seconds() }).text("%.2f")})
		}
	}
	return goals, nil
}

// report: a county of 300 schools and 9,000 classes, half of whose pupils have taken part.
func (c *GoalsCmd) report(ctx context.Context) (goals []goal, err error) {
	for _, engine := range []string{"embedded", "redis+clickhouse"} {
		r, err := c.growthCmd().reportsOf(ctx, engine, 300)
		if err != nil {
			return goals, err
		}
		goals = append(goals, goal{what: fmt.Sprintf("report of a county, %s classes, all forms, as a command: %s", thousands(int64(r.classes)), engine),
			most: 1, unit: " s", found: r.render, beside: "canyu verify " + r.verify.text("%.2f") + " s"})
	}
	return goals, nil
}

func (c *GoalsCmd) growth(ctx context.Context) (goals []goal, err error) {
	for _, engine := range []string{"redis", "redis+clickhouse", "embedded"} {
		subjects, err := c.growthCmd().participantsOf(ctx, engine, []int64{c.Recorded})
		if err != nil {
			return goals, err
		}
		empty, full := subjects[0], subjects[1]
		rate := func(s *subject) string {
			return s.text("%.0f", func(r subjectRound) float64 { return r.rate })
		}
		goals = append(goals, goal{what: fmt.Sprintf("throughput with %s recorded ÷ empty: %s", thousands(c.Recorded), engine), least: 0.9, found: full.ratio(empty),
			beside: fmt.Sprintf("%s, empty %s requests/s; memory %s, Redis %s", rate(full), rate(empty), megabytes(full.memory[0]), megabytes(full.memory[1]))})
	}
	return goals, nil
}

// national: arrays of 100, as teachers send them.
func (c *GoalsCmd) national(ctx context.Context) ([]goal, error) {
	cmd := NationalCmd{Engine: "redis+clickhouse", Participants: c.Participants, Array: 100, Connections: 64, Limit: c.Limit, Quiet: true, Place: c.Place}
	var took []float64
	beside := ""
	for range c.Rounds {
		found, err := cmd.measured(ctx)
		if err != nil {
			return nil, err
		}
		took = append(took, found.took.Minutes())
		beside = fmt.Sprintf("the last: HTTP %.0f s, verified in %.0f s without a difference", found.res.Seconds, found.verify.Seconds())
	}
	return []goal{{what: fmt.Sprintf("national campaign, %s participants, HTTP to archive", thousands(c.Participants)), most: 5, unit: " minutes", found: spreadOf(took), beside: beside}}, nil
}
