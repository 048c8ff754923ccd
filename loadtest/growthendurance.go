package loadtest

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// endurance: what the processes hold on to under a load that goes on, looked at as
// often as tells whether it grows.
func (c *GrowthCmd) endurance(ctx context.Context) error {
	if c.Rate <= 0 || c.Endure <= 0 {
		return errors.New("rate and endure: want a load of some length")
	}
	for _, engine := range splitList(c.Engines) {
		if err := c.enduranceOf(ctx, engine); err != nil {
			return err
		}
	}
	return nil
}

func (c *GrowthCmd) enduranceOf(ctx context.Context, engine string) error {
	const looks = 12
	st, err := c.Place.open(schoolsFor(int64(c.Rate*c.Endure.Seconds())+int64(looks*c.Connections)), SourceOptions{})
	if err != nil {
		return err
	}
	defer st.close()
	n, err := st.engine(ctx, "endurance", engine)
	if err != nil {
		return err
	}
	store := listener(n.redis)
	s := newSubject(engine, c.Connections, []*node{n}, st.source)
	rows := [][]string{{"after", "participants", "server memory", "Go heap in use", "goroutines", "open files", "Redis memory", "p99 ms"}}
	counted := int64(0)
	for i := range looks + 1 {
		p99 := "–" // of what came since the look before
		if i > 0 {
			res, err := c.loadAt(ctx, s, Constant(c.Rate), c.Endure/looks)
			if err != nil {
				return err
			}
			counted += res.Outcomes[Counted]
			p99 = fmt.Sprintf("%.1f", res.Latency.P99)
		}
		m, err := metrics(ctx, n.target)
		if err != nil {
			return err
		}
		rows = append(rows, []string{(time.Duration(i) * c.Endure / looks).Round(time.Millisecond).String(), thousands(counted), megabytes(resident(n.cmd.Process.Pid)),
			megabytes(int64(m["go_memstats_heap_inuse_bytes"])), fmt.Sprintf("%.0f", m["go_goroutines"]), fmt.Sprintf("%.0f", m["process_open_fds"]),
			megabytes(resident(store)), p99})
	}
	if err := n.archived(ctx, c.Limit); err != nil {
		return err
	}
	c.title("Endurance: %s, %.0f submissions a second for %s", engine, c.Rate, c.Endure)
	return table(c.out, rows)
}
