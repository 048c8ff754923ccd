package main

import (
	"bytes"
	"fmt"
	"os"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
)

// wall reads an activity's wall: on or off.
func (e *activitySettings) wall(wrong func(string, ...any)) *canyu.Wall {
	switch e.Wall {
	case "", "off":
	case "on":
		return &canyu.Wall{}
	default:
		wrong("wall %q: want on or off", e.Wall)
	}
	return nil
}

// screenWalls gives the walls the list of words that hold a message.
func (s *settings) screenWalls() error {
	var list []byte
	if s.WallWords != "" {
		var err error
		if list, err = os.ReadFile(s.WallWords); err != nil {
			return fmt.Errorf("wall_words: %w", err)
		}
	}
	screen, err := reports.ReadScreen(bytes.NewReader(list))
	if err != nil {
		return fmt.Errorf("wall_words %s: %w", s.WallWords, err)
	}
	for _, a := range s.activities {
		if a.Wall != nil {
			a.Wall.Hold = screen.Hold
		}
	}
	return nil
}
