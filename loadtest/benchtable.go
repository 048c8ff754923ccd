package loadtest

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// spread is the median of some rounds, and the least and the greatest.
type spread struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
}

func spreadOf(v []float64) spread {
	v = slices.Sorted(slices.Values(v))
	n := len(v)
	if n == 0 {
		return spread{}
	}
	return spread{(v[(n-1)/2] + v[n/2]) / 2, v[0], v[n-1]}
}

// line is one row of the table. A ratio is taken within each round, between
// neighbours in time, and then the median of the rounds: what else the machine does
// meanwhile then slows both sides of it.
type line struct {
	Row         string    `json:"row"`
	Rate        spread    `json:"rate"`
	Bare        *spread   `json:"rate_to_bare,omitempty"`
	PerCommand  *spread   `json:"rate_to_percommand,omitempty"`
	P99         spread    `json:"p99_ms"`
	ServerCPU   spread    `json:"server_cpu_us"`
	AfterCPU    spread    `json:"after_cpu_us"`
	CPUToBare   *spread   `json:"server_cpu_to_bare,omitempty"`
	StoreCPU    spread    `json:"store_cpu_us"`
	ArchiveCPU  spread    `json:"archive_cpu_us"`
	StoreToBare *spread   `json:"server_and_store_cpu_to_bare,omitempty"`
	OtherCPU    spread    `json:"other_cpu_us"`
	ClientCPU   spread    `json:"client_cpu_us"`
	Rounds      []measure `json:"rounds"`
	Reconciled  bool      `json:"reconciled"`
	Requests    int64     `json:"requests"`
}

func (b *bench) lines() []line {
	var lines []line
	for _, row := range b.rows {
		l := line{Row: row.name, Rounds: row.rounds, Reconciled: row.reconciles, Requests: row.next,
			Rate:       row.spread(func(m measure) float64 { return m.Rate }),
			P99:        row.spread(func(m measure) float64 { return m.P99 }),
			ServerCPU:  row.spread(func(m measure) float64 { return m.ServerCPU }),
			AfterCPU:   row.spread(func(m measure) float64 { return m.AfterCPU }),
			StoreCPU:   row.spread(func(m measure) float64 { return m.StoreCPU }),
			ArchiveCPU: row.spread(func(m measure) float64 { return m.ArchiveCPU }),
			OtherCPU:   row.spread(func(m measure) float64 { return m.OtherCPU }),
			ClientCPU:  row.spread(func(m measure) float64 { return m.ClientCPU }),
		}
		l.Bare = b.ratio(row, "bare", func(m measure) float64 { return m.Rate })
		l.PerCommand = b.ratio(row, "percommand", func(m measure) float64 { return m.Rate })
		l.CPUToBare = b.ratio(row, "bare", func(m measure) float64 { return m.ServerCPU })
		l.StoreToBare = b.ratio(row, "bare", func(m measure) float64 { return m.ServerCPU + m.StoreCPU })
		lines = append(lines, l)
	}
	return lines
}

func (r *benchRow) spread(of func(measure) float64) spread {
	v := make([]float64, len(r.rounds))
	for i, m := range r.rounds {
		v[i] = of(m)
	}
	return spreadOf(v)
}

// ratio is nil where there is nothing to divide by.
func (b *bench) ratio(row *benchRow, by string, of func(measure) float64) *spread {
	i := slices.IndexFunc(b.rows, func(r *benchRow) bool { return r.name == by })
	if i < 0 {
		return nil
	}
	var v []float64
	for k, m := range row.rounds {
		if by := of(b.rows[i].rounds[k]); by > 0 { // a very short round has no tick of CPU time
			v = append(v, of(m)/by)
		}
	}
	if len(v) == 0 {
		return nil
	}
	s := spreadOf(v)
	return &s
}

func (s spread) text(format string) string {
	return fmt.Sprintf(format+" ("+format+"–"+format+")", s.Median, s.Min, s.Max)
}

func (b *bench) table(out io.Writer) error {
	if b.JSON {
		e := json.NewEncoder(out)
		e.SetIndent("", "  ")
		return e.Encode(map[string]any{"conditions": b.conditions(), "rows": b.lines()})
	}
	fmt.Fprintf(out, "\n%s\nmedian of the rounds (least–greatest); ratios are of the same round; store: Redis or PostgreSQL, archive: ClickHouse\n\n", b.conditions())
	w := tabwriter.NewWriter(out, 0, 0, 1, ' ', 0)
	fmt.Fprintln(w, "| row\t| requests/s\t| ÷ bare\t| ÷ percommand\t| p99 ms\t| server CPU µs/request\t| of it afterwards\t| CPU ÷ bare\t| store CPU µs\t| server + store ÷ bare\t| archive CPU µs\t| client CPU µs\t| others' CPU µs\t| reconciled\t|")
	fmt.Fprintln(w, "|"+strings.Repeat("---\t|", 14))
	for _, l := range b.lines() {
		ratio := func(s *spread) string {
			if s == nil {
				return "–"
			}
			return s.text("%.2f")
		}
		reconciled := "–"
		if l.Reconciled {
			reconciled = fmt.Sprintf("%d, no difference", l.Requests)
		}
		fmt.Fprintf(w, "| %s\t| %s\t| %s\t| %s\t| %s\t| %s\t| %.1f\t| %s\t| %s\t| %s\t| %.1f\t| %.1f\t| %.1f\t| %s\t|\n", l.Row, l.Rate.text("%.0f"),
			ratio(l.Bare), ratio(l.PerCommand), l.P99.text("%.1f"), l.ServerCPU.text("%.1f"), l.AfterCPU.Median, ratio(l.CPUToBare), l.StoreCPU.text("%.1f"), ratio(l.StoreToBare), l.ArchiveCPU.Median, l.ClientCPU.Median, l.OtherCPU.Median, reconciled)
	}
	busiest := 0.0
	for _, row := range b.rows {
		for _, m := range row.rounds {
			busiest = max(busiest, m.Busy)
		}
	}
	if err := w.Flush(); err != nil || busiest < 0.1 {
		return err
	}
	_, err := fmt.Fprintf(out, "\nNot a quiet machine: something else kept it up to %.0f %% busy before a round.\n", busiest*100)
	return err
}
