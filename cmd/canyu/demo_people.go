package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/canyu/canyu"
)

// demoBells are when classes take their turn, in minutes of the day.
var demoBells = []int{7*60 + 50, 8*60 + 45, 9*60 + 40, 10*60 + 35, 11*60 + 25, 14 * 60, 14*60 + 55, 15*60 + 50}

// demoFirst is the newest day with bells that have rung.
func demoFirst(zone *time.Location, now time.Time) canyu.Day {
	return canyu.DayAt(now.Add(-8*time.Hour), zone)
}

// demoDay is a day as it might have been until now: class after class at the lesson
// bells, some of them whole, some hardly, two schools not at all; teachers among them,
// parents in the evening. Before the first bell it is the day before. A few come in the night and a few are refused, for the
// notes on the numbers. The same people each time.
func demoDay(a *canyu.Activity, roster *canyu.Roster, now time.Time) ([]byte, error) {
	rnd := rand.New(rand.NewPCG(20170401, 1))
	midnight := demoFirst(a.Zone, now).Start(a.Zone)
	var lines bytes.Buffer
	n := 0
	add := func(class canyu.RosterEntry, at time.Time, role canyu.Role, seat int, name string) error {
		if n++; at.After(now) {
			return nil
		}
		s := map[string]any{
			"at": at.Format(time.RFC3339Nano), "activity": a.ID, "school": class.School, "grade": class.Grade, "class": class.Class,
			"role": role, "steps": a.Steps, "id": fmt.Sprint("demo-", n),
		}
		if seat > 0 {
			s["seat"] = seat
		}
		if name != "" {
			s["name"] = name
		}
		if n%40 == 0 {
			s["message"] = "缅怀先烈，吾辈自强。"
		}
		line, err := json.Marshal(s)
		lines.Write(append(line, '\n'))
		return err
	}
	schools := 0
	var school canyu.SchoolCode
	for _, class := range roster.Entries() {
		if class.School != school {
			school = class.School
			schools++
		}
		zeal := [...]float64{1, 1, 1, 0.97, 0.93, 0.85, 0.7, 0.4, 0.1, 0}[rnd.IntN(10)]
		bell := midnight.Add(time.Duration(demoBells[rnd.IntN(len(demoBells))]) * time.Minute)
		if schools%41 == 17 {
			continue
		}
		for seat := 1; seat <= class.Enrolled; seat++ {
			at := bell.Add(time.Duration((2 + 3*rnd.ExpFloat64()) * float64(time.Minute)))
			if n%2000 == 1000 {
				at = midnight.Add(time.Duration(rnd.Float64() * float64(4*time.Hour)))
			}
			if rnd.Float64() > zeal {
				continue
			}
			if err := add(class, at, canyu.Student, seat, ""); err != nil {
				return nil, err
			}
			if rnd.IntN(9) == 0 {
				evening := midnight.Add(time.Duration(18.5*float64(time.Hour) + rnd.NormFloat64()*float64(50*time.Minute)))
				if err := add(class, evening, canyu.Parent, seat, "家长"); err != nil {
					return nil, err
				}
			}
		}
		if err := add(class, bell.Add(time.Minute), canyu.Teacher, 0, fmt.Sprintf("班主任%d", class.Class)); err != nil {
			return nil, err
		}
		if rnd.IntN(60) == 0 {
			if err := add(class, bell, canyu.Student, class.Enrolled+7, ""); err != nil {
				return nil, err
			}
		}
	}
	return lines.Bytes(), nil
}

// demoArrivals lets one more pupil take part every second or two, so that the pages
// move while somebody looks at them.
func demoArrivals(ctx context.Context, url string, a *canyu.Activity, roster *canyu.Roster) {
	entries := roster.Entries()
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Duration(500+rand.IntN(2000)) * time.Millisecond):
		}
		class := entries[rand.IntN(len(entries))]
		body, err := json.Marshal(map[string]any{
			"activity": a.ID, "school": class.School, "grade": class.Grade, "class": class.Class,
			"role": canyu.Student, "seat": 1 + rand.IntN(max(1, class.Enrolled)), "steps": a.Steps,
		})
		if err != nil {
			return
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/participations", bytes.NewReader(body))
		if err != nil {
			return
		}
		request.Header.Set("Content-Type", "application/json")
		if reply, err := http.DefaultClient.Do(request); err == nil {
			_ = reply.Body.Close()
		}
	}
}
