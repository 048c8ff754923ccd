package main

import (
	"fmt"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
)

// pageSettings is how the student page of an activity looks.
type pageSettings struct {
	Theme string     `yaml:"theme"` // folder with theme.json and pictures
	Grey  textOrList `yaml:"grey"`  // always, or the days of public mourning
}

// theme is never nil.
func (e *pageSettings) theme(a *canyu.Activity) (*ingest.Theme, []error) {
	theme, errs := &ingest.Theme{}, []error(nil)
	if e.Theme != "" {
		loaded, err := ingest.LoadTheme(e.Theme, a)
		if err != nil {
			errs = append(errs, fmt.Errorf("theme %q: %w", e.Theme, err))
		} else {
			theme = loaded
		}
	}
	for _, text := range e.Grey {
		day, err := canyu.ParseDay(text)
		switch {
		case err == nil:
			theme.Grey.Days = append(theme.Grey.Days, day)
		case text == "always" && len(e.Grey) == 1:
			theme.Grey.Always = true
		default:
			errs = append(errs, fmt.Errorf("grey: %q: want always, or days such as 2017-04-04", text))
		}
	}
	return theme, errs
}
