package chaos

import (
	"cmp"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canyu/canyu"
)

// person is somebody who may take part, and what was said to them.
type person struct {
	class   int32
	role    canyu.Role
	seat    uint8
	ids     uint8 // submissions with different ids that were sent
	fault   uint8 // under which they were first acknowledged: a row of the book
	acked   bool  // by 200, 201 or 202
	told    bool  // by 200 or 201: counted now
	counted bool  // by 201
	doubt   bool  // some request was answered by 202, by an error or not at all
	receipt [9]byte
	ordinal uint32
	at      uint32 // milliseconds after the beginning, when first acknowledged
}

// Row is what happened while a fault was the newest one.
type Row struct {
	Fault   string
	Times   int
	Refused int // answers 5xx
	Unknown int // requests without an answer
	Spooled int // answers 202
	Lost    int // participants acknowledged meanwhile and not counted
	Twice   int // answered meanwhile as counted, a second time
}

// Difference is a promise that was not kept.
type Difference struct {
	Kind string // lost, twice, never, receipt, ordinal, live, archive, verify, report, refused, crash, unsettled, setup
	Text string
}

func (d Difference) String() string { return d.Kind + ": " + d.Text }

// submission is one person's with one id.
type submission struct {
	person int32
	id     uint8
}

// book is where clients write down what they were answered.
type book struct {
	began time.Time
	fault atomic.Int32 // the row that is to be blamed now

	mu           sync.Mutex
	classes      []class
	people       []person
	open         map[submission]bool // sent, and not acknowledged
	acknowledged int                 // requests' submissions answered 2xx
	rows         []Row
	differences  []Difference
	found        map[string]int // differences by kind
	counted      []int          // by school: participants that were answered 200 or 201
}

const mostDifferences = 30 // of a kind that are told; all are counted

func newBook(classes []class, people []person) *book {
	b := &book{began: time.Now(), classes: classes, people: people, open: make(map[submission]bool), found: make(map[string]int),
		rows: []Row{{Fault: "none"}}, counted: make([]int, len(classes)/perSchool+1)}
	return b
}

func (b *book) differ(kind, format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.differs(kind, format, args...)
}

func (b *book) differs(kind, format string, args ...any) {
	if b.found[kind]++; b.found[kind] <= mostDifferences {
		b.differences = append(b.differences, Difference{kind, fmt.Sprintf(format, args...)})
	}
}

// begin is the row of a fault that happens once more.
func (b *book) begin(name string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.rows, func(r Row) bool { return r.Fault == name })
	if i < 0 {
		i = len(b.rows)
		b.rows = append(b.rows, Row{Fault: name})
	}
	b.rows[i].Times++
	return i
}

// send gives a submission its id: a new one, or that of the last time.
func (b *book) send(who int32, again bool) submission {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := &b.people[who]
	if p.ids == 0 || !again && p.ids < 255 {
		p.ids++
		b.open[submission{who, p.ids}] = true
	}
	return submission{who, p.ids}
}

// answer is what the server said about one submission. Status 0 is no answer.
type answer struct {
	status  int
	counted bool
	ordinal uint64
	receipt string
	text    string // of a refusal
}

// write notes an answer and reports whether the submission is settled.
func (b *book) write(s submission, a answer) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	row := &b.rows[b.fault.Load()]
	p := &b.people[s.person]
	switch {
	case a.status == 0:
		row.Unknown++
		p.doubt = true
		return false
	case a.status == 429 || a.status >= 500:
		row.Refused++
		p.doubt = true
		return false
	case a.status >= 300:
		b.differs("refused", "%s was refused for good: %d %s", b.name(s), a.status, a.text)
		return true
	}
	b.acknowledged++
	delete(b.open, s)
	if !p.acked {
		p.acked, p.at, p.fault = true, uint32(time.Since(b.began).Milliseconds()), uint8(b.fault.Load())
	}
	if a.status == 202 {
		row.Spooled++
		p.doubt = true
	} else if !p.told {
		p.told = true
		b.counted[p.class/perSchool]++
	}
	if len(a.receipt) == len(p.receipt) && p.receipt == [9]byte{} {
		copy(p.receipt[:], a.receipt)
	} else if string(p.receipt[:]) != a.receipt {
		b.differs("receipt", "%s has receipt %q, had %q", b.name(s), a.receipt, p.receipt)
	}
	if a.counted != (a.status == 201) {
		b.differs("refused", "%s: status %d with counted %t", b.name(s), a.status, a.counted)
	}
	if a.status != 201 {
		return true
	}
	if p.counted {
		row.Twice++
		b.differs("twice", "%s was counted as number %d, and again as %d", b.name(s), p.ordinal, a.ordinal)
	}
	p.counted, p.ordinal = true, uint32(a.ordinal)
	return true
}

// name is who submitted, as a client knows it.
func (b *book) name(s submission) string {
	p := &b.people[s.person]
	c := b.classes[p.class]
	return fmt.Sprintf("%s of school %s, class %d(%d), seat %d, id %s", p.role, c.school, c.grade, c.number, p.seat, s)
}

func (s submission) String() string { return fmt.Sprintf("%d-%d", s.person, s.id) }

// toldOf is how many participants of a school were told that they count.
func (b *book) toldOf(school int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counted[school]
}

// unsettled are the submissions whose fate is unknown.
func (b *book) unsettled() []submission {
	b.mu.Lock()
	defer b.mu.Unlock()
	var open []submission
	for s := range b.open {
		open = append(open, s)
	}
	slices.SortFunc(open, func(x, y submission) int { return cmp.Or(int(x.person-y.person), int(x.id)-int(y.id)) })
	return open
}

// group is a class and role.
type group struct {
	class int32
	role  canyu.Role
}

// numbers are what must be found of a group: at least acknowledged, at most sent.
type numbers struct{ acknowledged, sent int }

// groups counts people, and submissions for each school. Those sent are known for
// certain once none is open.
func (b *book) groups() (groups map[group]numbers, submissions []int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	groups, submissions = make(map[group]numbers), make([]int, len(b.counted))
	for i := range b.people {
		p := &b.people[i]
		if p.ids == 0 {
			continue
		}
		g := groups[group{p.class, p.role}]
		g.sent++
		if p.acked {
			g.acknowledged++
		}
		groups[group{p.class, p.role}] = g
		submissions[p.class/perSchool] += int(p.ids)
	}
	return groups, submissions
}

// examine looks for what the answers alone give away.
func (b *book) examine() {
	b.mu.Lock()
	defer b.mu.Unlock()
	var ordinals []int32 // people by ordinal
	for i := range b.people {
		p := &b.people[i]
		if p.acked && !p.counted && !p.doubt {
			b.differs("never", "%s was told %d times that it is a repeat, and never that it counts", b.name(submission{int32(i), 1}), p.ids)
		}
		if p.counted {
			ordinals = append(ordinals, int32(i))
		}
	}
	slices.SortFunc(ordinals, func(x, y int32) int { return cmp.Compare(b.people[x].ordinal, b.people[y].ordinal) })
	for k, i := range ordinals {
		p := &b.people[i]
		if p.ordinal == 0 {
			b.differs("ordinal", "%s counts, and has no number", b.name(submission{i, 1}))
		} else if k > 0 && p.ordinal == b.people[ordinals[k-1]].ordinal {
			b.differs("ordinal", "%s and %s are both number %d", b.name(submission{ordinals[k-1], 1}), b.name(submission{i, 1}), p.ordinal)
		}
	}
}

// blame notes that a person was acknowledged and is not counted.
func (b *book) blame(who int32, saw string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := &b.people[who]
	b.rows[p.fault].Lost++
	b.differs("lost", "%s was acknowledged after %.3f s (fault: %s) with receipt %s, number %d, and is not counted: %s",
		b.name(submission{who, p.ids}), float64(p.at)/1000, b.rows[p.fault].Fault, p.receipt, p.ordinal, saw)
}
