package main

import (
	"fmt"
	"net/mail"
	"slices"
	"time"

	"github.com/canyu/canyu"
)

// activitySettings is an entry of activities in canyu.yaml.
type activitySettings struct {
	ID             string            `yaml:"id"`
	Title          map[string]string `yaml:"title"`
	Timezone       string            `yaml:"timezone"`
	FirstDay       string            `yaml:"first_day"`
	LastDay        string            `yaml:"last_day"`
	Steps          []string          `yaml:"steps"`
	RequiredGrades []int             `yaml:"required_grades"`
	Roles          []string          `yaml:"roles"`
	Identify       string            `yaml:"identify"`
	Names          string            `yaml:"names"`
	Public         publicSettings    `yaml:"public"`
	Wall           onOff             `yaml:"wall"` // on | off: messages are shown, each after a review
	Policy         policySettings    `yaml:"policy"`
	Consent        consentSettings   `yaml:"consent"`
	Page           pageSettings      `yaml:"page"`
	Report         reportSettings    `yaml:"report"`
	Retention      retentionSettings `yaml:"retention"`
}

type publicSettings struct {
	Counts  string `yaml:"counts"`   // all | totals | none
	AtLeast int    `yaml:"at_least"` // pupils of a group that is shown
}

type reportSettings struct {
	At          string              `yaml:"at"`
	Days        textOrList          `yaml:"days"`        // working | daily | days
	Corrections string              `yaml:"corrections"` // manual | auto
	Ranking     bool                `yaml:"ranking"`
	Recipients  map[string][]string `yaml:"recipients"`
	Schools     map[string][]string `yaml:"schools"` // by code: letters of their own
}

// activity is the entry with its defaults, and every mistake in it. It is never nil.
func (e *activitySettings) activity() (*canyu.Activity, []error) {
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	or := func(s, fallback string) string {
		if s == "" {
			return fallback
		}
		return s
	}
	a := &canyu.Activity{
		ID:       e.ID,
		Title:    e.Title,
		Steps:    e.Steps,
		Identify: canyu.Identify(or(e.Identify, string(canyu.BySeat))),
	}
	for lang := range e.Title {
		if lang != "zh-Hans" && lang != "zh-Hant" && lang != "en" {
			wrong("title: language %q: want zh-Hans, zh-Hant or en", lang)
		}
	}
	var err error
	if a.Zone, err = time.LoadLocation(or(e.Timezone, "Asia/Shanghai")); err != nil {
		wrong("timezone %q: want a name such as Asia/Shanghai", e.Timezone)
		a.Zone = time.UTC
	}
	daysKnown := true
	day := func(field, s string) canyu.Day {
		d, err := canyu.ParseDay(s)
		if err != nil {
			wrong("%s: %w", field, err)
			daysKnown = false
		}
		return d
	}
	a.FirstDay, a.LastDay = day("first_day", e.FirstDay), day("last_day", e.LastDay)
	for _, g := range e.RequiredGrades {
		if g < 1 || g > canyu.MaxGrade {
			wrong("required_grades: %d: want 1–%d", g, canyu.MaxGrade)
			continue
		}
		a.RequiredGrades = append(a.RequiredGrades, uint8(g))
	}
	for _, name := range e.Roles {
		r, err := canyu.ParseRole(name)
		if err != nil {
			wrong("roles: %w", err)
			continue
		}
		a.Roles = append(a.Roles, r)
	}
	if n := or(e.Names, "discard"); n != "discard" {
		wrong("names %q: this version keeps no names: want discard", n)
	}
	a.Public = e.Public.publicity()
	a.Wall = e.wall(wrong)
	e.Policy.check(wrong)
	e.report(a, or, wrong)
	a.Retention = e.Retention.retention(wrong)
	found := each(a.Validate())
	if !daysKnown { // nothing can be before or after them
		found = slices.DeleteFunc(found, func(err error) bool { return isAbout(err, "last_day") || isAbout(err, "report.days") })
	}
	return a, append(errs, found...)
}

// each are the errors that were joined.
func each(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return slices.Clone(joined.Unwrap())
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

func (e *activitySettings) report(a *canyu.Activity, or func(s, fallback string) string, wrong func(string, ...any)) {
	at, err := time.Parse("15:04", or(e.Report.At, "16:30"))
	if err != nil {
		wrong("report.at %q: want a time of day such as 16:30", e.Report.At)
	}
	a.Report = canyu.ReportPlan{
		Hour:       at.Hour(),
		Minute:     at.Minute(),
		Days:       canyu.WorkingDays,
		Correct:    e.Report.Corrections == "auto",
		Ranking:    e.Report.Ranking,
		Recipients: make(map[canyu.Region][]string),
		Schools:    make(map[canyu.SchoolCode][]string),
	}
	if c := or(e.Report.Corrections, "manual"); c != "manual" && c != "auto" {
		wrong("report.corrections %q: want manual or auto", c)
	}
	if e.Report.Days != nil {
		a.Report.Days = canyu.ListedDays
	}
	for _, text := range e.Report.Days {
		d, err := canyu.ParseDay(text)
		switch {
		case err == nil:
			a.Report.List = append(a.Report.List, d)
		case len(e.Report.Days) == 1:
			a.Report.Days = canyu.ReportDays(text)
		default:
			wrong("report.days: %w", err)
		}
	}
	for code, addresses := range e.Report.Recipients {
		region, err := canyu.ParseRegion(code)
		if err != nil {
			wrong("report.recipients: %w", err)
		}
		a.Report.Recipients[region] = append(a.Report.Recipients[region], addressesOf("report.recipients."+code, addresses, wrong)...)
	}
	for text, addresses := range e.Report.Schools {
		code, err := canyu.ParseSchoolCode(text)
		if err != nil {
			wrong("report.schools: %w", err)
		}
		a.Report.Schools[code] = append(a.Report.Schools[code], addressesOf("report.schools."+text, addresses, wrong)...)
	}
	if len(a.Report.Schools) > 0 && len(a.Report.Recipients) == 0 {
		wrong("report.schools: a school's letter is part of its region's report, but report.recipients names no region")
	}
}

// addressesOf are those of a list that are addresses, once each.
func addressesOf(field string, list []string, wrong func(string, ...any)) []string {
	var addresses []string
	for _, address := range list {
		parsed, err := mail.ParseAddress(address)
		switch {
		case err != nil || parsed.Address != address:
			wrong("%s: %q: want an address such as education@example.org", field, address)
		case slices.Contains(addresses, address):
			wrong("%s: %q is listed twice", field, address)
		default:
			addresses = append(addresses, address)
		}
	}
	return addresses
}
