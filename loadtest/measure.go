package loadtest

import (
	"context"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// metrics are a server's, those of one name added up.
func metrics(ctx context.Context, t *Target) (map[string]float64, error) {
	c := newConn(t, 10*time.Second)
	defer c.close()
	text, err := c.get(ctx, "/metrics", nil)
	if err != nil {
		return nil, fmt.Errorf("cannot read the metrics: %w", err)
	}
	all := make(map[string]float64)
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if i := strings.LastIndex(line, "} "); i >= 0 {
			name, value = line[:strings.IndexByte(line, '{')], strings.TrimSpace(line[i+2:])
		}
		if v, err := strconv.ParseFloat(value, 64); err == nil && ok && name[0] != '#' {
			all[name] += v
		}
	}
	return all, nil
}

// archived waits until the archive has everything that the ledger recorded.
func (n *node) archived(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		m, err := metrics(ctx, n.target)
		backlog, known := m["canyu_backlog_participations"]
		if err == nil && known && backlog == 0 && m["canyu_archive_lag_seconds"] == 0 {
			return nil
		}
		select {
		case <-n.exited:
			return fmt.Errorf("%s has ended\n%s", n.name, n.lastLines())
		case <-ctx.Done():
			return fmt.Errorf("%s: %.0f participations had not reached the archive after %s: %w", n.name, backlog, patience, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// costs are CPU times of everything that takes part in a measurement.
type costs struct{ server, store, archive, client time.Duration }

func costsOf(servers []int, store, archive int) costs {
	c := costs{store: family(store), archive: family(archive)}
	c.client, _ = cpu(os.Getpid()) // without its children, which are the servers
	for _, pid := range servers {
		spent, _ := cpu(pid)
		c.server += spent
	}
	return c
}

func (c costs) since(o costs) costs {
	return costs{c.server - o.server, c.store - o.store, c.archive - o.archive, c.client - o.client}
}

// allCounted is an error unless every submission was.
func allCounted(r *Result) error {
	if good, total := r.Outcomes[Counted]+r.Outcomes[Empty], r.Total(); good < total || good == 0 || r.Twice > 0 {
		return fmt.Errorf("%d of %d submissions did not count, %d counted twice: %v %v", total-good, total, r.Twice, r.Outcomes, r.Errors)
	}
	return nil
}

// table writes rows in Markdown, the first of them the heading.
func table(out io.Writer, rows [][]string) error {
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	for i, row := range rows {
		fmt.Fprintf(w, "| %s\t|\n", strings.Join(row, "\t| "))
		if i == 0 {
			fmt.Fprintf(w, "|%s\n", strings.Repeat("---\t|", len(row)))
		}
	}
	return w.Flush()
}

func megabytes(n int64) string { return fmt.Sprintf("%.0f MB", float64(n)/1e6) }
