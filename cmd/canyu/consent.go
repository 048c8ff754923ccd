package main

import (
	"fmt"
	"io"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/ingest"
)

// consentSettings are what pupils and guardians are told before anything is sent.
type consentSettings struct {
	By       map[string]string `yaml:"by"`       // who collects, by language
	Contact  string            `yaml:"contact"`  // whom to ask: a telephone number, an address
	Required onOff             `yaml:"required"` // on | off: the form has a box to tick
	Short    map[string]string `yaml:"short"`    // instead of the words beside the form
	Notice   map[string]string `yaml:"notice"`   // instead of the page
}

// notice is never nil.
func (e *consentSettings) notice() (*ingest.Notice, []error) {
	var errs []error
	for _, texts := range []struct {
		field string
		of    map[string]string
	}{{"by", e.By}, {"short", e.Short}, {"notice", e.Notice}} {
		for lang := range texts.of {
			if lang != "zh-Hans" && lang != "zh-Hant" && lang != "en" {
				errs = append(errs, fmt.Errorf("%s: language %q: want zh-Hans, zh-Hant or en", texts.field, lang))
			}
		}
	}
	if e.Required != "" && e.Required != "on" && e.Required != "off" {
		errs = append(errs, fmt.Errorf("required %q: want on or off", e.Required))
	}
	return &ingest.Notice{By: e.By, Contact: e.Contact, Required: e.Required == "on", Short: e.Short, Full: e.Notice}, errs
}

// warnConsent says what a notice lacks that the law wants in it.
func warnConsent(out io.Writer, a *canyu.Activity, n *ingest.Notice) {
	if len(n.Full) > 0 {
		return
	}
	if len(n.By) == 0 {
		fmt.Fprintf(out, "  warning: consent.by is not given: pupils and guardians are not told by name who collects\n")
	}
	if n.Contact == "" {
		fmt.Fprintf(out, "  warning: consent.contact is not given: nobody is told whom to ask at /a/%s/privacy\n", a.ID)
	}
}
