package canyu

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Switch is something that an operator may turn down while everything runs, on a day
// when too many come. None touches submissions and what they count.
type Switch string

// The switches of an activity.
const (
	SwitchWall Switch = "wall" // off: the wall is closed
	SwitchLive Switch = "live" // slow: live views follow every ten seconds
	SwitchPage Switch = "page" // only: the student page and submissions are served; counts, live views, the wall and exports are not
)

// AllSwitches lists them.
var AllSwitches = [...]Switch{SwitchWall, SwitchLive, SwitchPage}

// switchPositions are the usual one, and the one turned down.
var switchPositions = map[Switch][2]string{SwitchWall: {"on", "off"}, SwitchLive: {"normal", "slow"}, SwitchPage: {"full", "only"}}

// Position is what the switch stands at.
func (s Switch) Position(down bool) string {
	if down {
		return switchPositions[s][1]
	}
	return switchPositions[s][0]
}

// ParseSwitch reads a switch and its position, such as "live", "slow".
func ParseSwitch(name, position string) (s Switch, down bool, err error) {
	s = Switch(name)
	words, known := switchPositions[s]
	at := slices.Index(words[:], position)
	if !known || at < 0 {
		var all []string
		for _, s := range AllSwitches {
			all = append(all, string(s)+" "+s.Position(true)+" or "+s.Position(false))
		}
		return "", false, fmt.Errorf("switch %q %q: want %s", name, position, strings.Join(all, ", "))
	}
	return s, at == 1, nil
}

// Switches are how those of an activity stand; one that was never turned is missing.
type Switches map[Switch]SwitchState

// SwitchState is how a switch stands.
type SwitchState struct {
	Down bool
	By   string
	At   time.Time // whole milliseconds
}

// Down reports whether a switch is turned down. All that page only closes, is closed.
func (s Switches) Down(what Switch) bool {
	return s[what].Down || what == SwitchWall && s[SwitchPage].Down
}

// They are kept in the archive among those of walls, so that every version reads them:
// under a name that no activity can have, and by number instead of by region. What a
// bureau decided about its wall stays untouched.
func switchesOf(activity string) string { return activity + "/switches" }

func (s Switch) number() Region { return Region(slices.Index(AllSwitches[:], s) + 1) }

// TurnSwitch turns a switch of an activity: every node follows within some seconds.
func TurnSwitch(ctx context.Context, a WallArchive, activity string, s Switch, to SwitchState) error {
	return a.SetWallSwitch(ctx, switchesOf(activity), WallSwitch{Region: s.number(), Off: to.Down, By: to.By, At: to.At.UTC().Truncate(time.Millisecond)})
}

// ReadSwitches reads how they stand.
func ReadSwitches(ctx context.Context, a WallArchive, activity string) (Switches, error) {
	kept, err := a.WallSwitches(ctx, switchesOf(activity))
	if err != nil {
		return nil, fmt.Errorf("cannot read the switches of %s: %w", activity, err)
	}
	all := make(Switches)
	for _, k := range kept {
		for _, s := range AllSwitches {
			if s.number() == k.Region {
				all[s] = SwitchState{Down: k.Off, By: k.By, At: k.At}
			}
		}
	}
	return all, nil
}
