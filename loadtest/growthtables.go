package loadtest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

func numbers(list string) ([]int64, error) {
	var all []int64
	for _, s := range splitList(list) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q: want numbers from 1, separated by commas", list)
		}
		all = append(all, n)
	}
	return all, nil
}

// participants: the same canyu, empty and with some millions recorded. The empty one
// is a new one in every round, so that it is empty.
func (c *GrowthCmd) participants(ctx context.Context) error {
	sizes, err := numbers(c.Sizes)
	if err != nil {
		return err
	}
	for _, engine := range splitList(c.Engines) {
		subjects, err := c.participantsOf(ctx, engine, sizes)
		if err != nil {
			return err
		}
		c.title("Participants that are recorded already: %s", engine)
		rows := [][]string{append(append([]string{"recorded"}, subjectColumns...), "server memory", "Redis memory")}
		for _, s := range subjects {
			_, label, _ := strings.Cut(s.label, ", ")
			rows = append(rows, append(append([]string{label}, s.columns(subjects[0])...), megabytes(s.memory[0]), megabytes(s.memory[1])))
		}
		if err := table(c.out, rows); err != nil {
			return err
		}
	}
	return nil
}

// withArchive is the engine that carries into the archive what is recorded beforehand: of
// redis, the ingest node by itself, that has to be somebody else.
func withArchive(engine string) string {
	if engine == "redis" {
		return "redis+clickhouse"
	}
	return engine
}

// participantsOf are the empty one and those of sizes.
func (c *GrowthCmd) participantsOf(ctx context.Context, engine string, sizes []int64) ([]*subject, error) {
	most := c.perRound() * int64(c.Rounds)
	for _, n := range sizes {
		most = max(most, n+c.perRound()*int64(c.Rounds))
	}
	st, err := c.Place.open(schoolsFor(most), SourceOptions{})
	if err != nil {
		return nil, err
	}
	defer st.close()
	empty := newSubject(engine+", empty", c.Connections, []*node{nil}, st.source)
	subjects := []*subject{empty}
	for _, size := range sizes {
		name := fmt.Sprintf("with-%d", size)
		n, err := st.engine(ctx, name, withArchive(engine))
		if err != nil {
			return nil, err
		}
		next, err := c.fill(ctx, st, n, 0, size)
		if err != nil {
			return nil, err
		}
		if engine == "redis" {
			n.stop()
			if n, err = st.node(ctx, name+"-ingest", n.redis, n.clickhouse, "ingest", n); err != nil {
				return nil, err
			}
		}
		s := newSubject(fmt.Sprintf("%s, %s", engine, thousands(size)), c.Connections, []*node{n}, st.source)
		s.next[0] = next
		subjects = append(subjects, s)
	}
	for round := range c.Rounds {
		for _, s := range subjects {
			if s == empty {
				if s.nodes[0], err = st.engine(ctx, fmt.Sprintf("empty-%d", round), engine); err != nil {
					return nil, err
				}
				s.next[0] = 0
			}
			if err := c.round(ctx, st, s); err != nil {
				return nil, err
			}
			n := s.nodes[0]
			s.memory = [2]int64{resident(n.cmd.Process.Pid), resident(listener(n.redis))}
			if engine != "redis" { // none pays for what another left behind
				if err := n.archived(ctx, c.Limit); err != nil {
					return nil, err
				}
			}
			if s == empty {
				n.stop()
			}
		}
	}
	return subjects, nil
}

// schools: about as many pupils in one school or in thousands.
func (c *GrowthCmd) schools(ctx context.Context) error {
	sizes, err := numbers(c.Schools)
	if err != nil {
		return err
	}
	for _, engine := range splitList(c.Engines) {
		var subjects []*subject
		var stands []*stand
		closeAll := func() {
			for _, st := range stands {
				st.close()
			}
		}
		for _, n := range sizes {
			// As many pupils as the rounds may use up, and no class larger than what
			// Redis keeps as an intset.
			each := (c.perRound()*int64(c.Rounds)/n)/12 + 1 // of one grade
			s := Synthetic{Schools: int(n), Grades: 12, Classes: int(min(999, each/50+1))}
			s.Enrolled = int(min(500, each/int64(s.Classes)+1))
			st, err := c.Place.open(s, SourceOptions{})
			if err != nil {
				closeAll()
				return err
			}
			stands = append(stands, st)
			started, err := st.engine(ctx, "schools", engine)
			if err != nil {
				closeAll()
				return err
			}
			subjects = append(subjects, newSubject(fmt.Sprintf("%s, %d classes of %d", thousands(n), st.source.Classes(), s.Enrolled), c.Connections, []*node{started}, st.source))
		}
		err := c.rounds(ctx, stands, subjects)
		closeAll()
		if err != nil {
			return err
		}
		c.title("Schools: %s", engine)
		if err := c.table("schools", subjects); err != nil {
			return err
		}
	}
	return nil
}

// rounds measures subjects in turn.
func (c *GrowthCmd) rounds(ctx context.Context, stands []*stand, subjects []*subject) error {
	for range c.Rounds {
		for i, s := range subjects {
			if err := c.round(ctx, stands[i%len(stands)], s); err != nil {
				return err
			}
			for _, n := range s.nodes {
				if err := n.archived(ctx, c.Limit); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (c *GrowthCmd) table(heading string, subjects []*subject) error {
	rows := [][]string{append([]string{heading}, subjectColumns...)}
	for _, s := range subjects {
		rows = append(rows, append([]string{s.label}, s.columns(subjects[0])...))
	}
	return table(c.out, rows)
}

// batch: the size of commits against the number of requests at a time.
func (c *GrowthCmd) batch(ctx context.Context) error {
	sizes, err := numbers(c.Batch)
	if err != nil {
		return err
	}
	for _, engine := range splitList(c.Engines) {
		if err := c.batchOf(ctx, engine, sizes); err != nil {
			return err
		}
	}
	return nil
}

func (c *GrowthCmd) batchOf(ctx context.Context, engine string, sizes []int64) error {
	st, err := c.Place.open(schoolsFor(c.perRound()*int64(c.Rounds*len(sizes))), SourceOptions{})
	if err != nil {
		return err
	}
	defer st.close()
	n, err := st.engine(ctx, "batch", engine)
	if err != nil {
		return err
	}
	var subjects []*subject
	next := make([]int64, 1) // one node: what one row used up is gone for the others
	for _, size := range sizes {
		s := newSubject(fmt.Sprint(size), int(size), []*node{n}, st.source)
		s.next = next
		subjects = append(subjects, s)
	}
	if err := c.rounds(ctx, []*stand{st}, subjects); err != nil {
		return err
	}
	c.title("Commits and load: %s", engine)
	return c.table("connections", subjects)
}

// two: two ingest processes on one Redis, against one.
func (c *GrowthCmd) two(ctx context.Context) error {
	st, err := c.Place.open(schoolsFor(3*c.perRound()*int64(c.Rounds)), SourceOptions{})
	if err != nil {
		return err
	}
	defer st.close()
	one, err := st.engine(ctx, "ingest-1", "redis")
	if err != nil {
		return err
	}
	other, err := st.node(ctx, "ingest-2", one.redis, one.clickhouse, "ingest", one)
	if err != nil {
		return err
	}
	// Every request is in one of three parts: one process alone takes the first.
	var parts []*Source
	for part := range 3 {
		s, err := NewSource(st.loaded, SourceOptions{Activity: st.activity, Steps: benchSteps, Seed: 1, Part: part, Of: 3})
		if err != nil {
			return err
		}
		parts = append(parts, s)
	}
	subjects := []*subject{
		newSubject("one", c.Connections, []*node{one}, parts[0]),
		newSubject("two", c.Connections, []*node{one, other}, parts[1:]...),
	}
	for range c.Rounds {
		for _, s := range subjects {
			if err := c.round(ctx, st, s); err != nil {
				return err
			}
		}
	}
	c.title("Ingest processes on one Redis, with the connections shared between them; nothing rolls up")
	return c.table("processes", subjects)
}
