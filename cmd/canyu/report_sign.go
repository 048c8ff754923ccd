package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
)

func (s *settings) signer(secret []byte) *reports.Signer {
	return reports.NewSigner(secret, s.ReportKeys...)
}

// checkReportKeys: without a key reports are frozen unsigned.
func (s *settings) checkReportKeys(wrong func(format string, args ...any)) {
	for i, id := range s.ReportKeys {
		if !canyu.ValidKeyID(id) {
			wrong("report_keys[%d] %q: want 1–16 of a–z, 0–9 and -", i, id)
		}
		if slices.Contains(s.ReportKeys[:i], id) {
			wrong("report_keys[%d] %q: is listed twice", i, id)
		}
	}
	if len(s.ReportKeys) == 0 {
		wrong("report_keys: want at least one, such as a")
	}
}

type reportKeyCommand struct {
	Flags
	Signify bool `help:"In the form of OpenBSD's signify instead of PEM."`
}

// Run prints the public keys; openssl passes over the lines between them.
func (c *reportKeyCommand) Run(out stdout) error {
	s, err := c.settings()
	if err != nil {
		return err
	}
	secret, err := s.secret()
	if err != nil {
		return err
	}
	for i, k := range s.signer(secret).Keys() {
		if c.Signify {
			fmt.Fprintf(out, "%s", k.Signify())
			continue
		}
		says := "signed earlier reports"
		if i == 0 {
			says = "signs reports"
		}
		fmt.Fprintf(out, "canyu report key %s (%s) %s\n%s", k.ID(), k.Label, says, k.PEM())
	}
	return nil
}

type reportCheckCommand struct {
	Flags
	File string `arg:"" help:"report.json." type:"existingfile"`
	Sig  string `help:"Its signature. (default: FILE.sig)" placeholder:"FILE"`
	Key  string `help:"Public key, as canyu report key or the bureau's page gives it. (default: this site's own)" placeholder:"FILE"`
}

// Run checks a file without asking anybody.
func (c *reportCheckCommand) Run(out stdout) error {
	body, err := os.ReadFile(c.File)
	if err != nil {
		return err
	}
	if c.Sig == "" {
		c.Sig = c.File + ".sig"
	}
	signature, err := os.ReadFile(c.Sig)
	if err != nil {
		return err
	}
	keys, err := c.keys()
	if err != nil {
		return err
	}
	key, err := reports.CheckSignature(body, string(signature), keys)
	switch {
	case errors.Is(err, reports.ErrUnknownKey):
		return fmt.Errorf("%s: %w: %s", c.File, err, key)
	case err != nil:
		return fmt.Errorf("%s: %w", c.File, err)
	}
	var r struct {
		Activity string       `json:"activity"`
		Region   canyu.Region `json:"region"`
		Day      canyu.Day    `json:"day"`
		Revision int          `json:"revision"`
		AsOf     time.Time    `json:"as_of"`
	}
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&r); err != nil {
		return fmt.Errorf("%s is signed, but no report: %w", c.File, err)
	}
	fmt.Fprintf(out, "%s is as it was signed with key %s: activity %s, region %s, %s, revision %d, as of %s\n",
		c.File, key, r.Activity, r.Region, r.Day, r.Revision, r.AsOf.Format(time.RFC3339))
	return nil
}

func (c *reportCheckCommand) keys() ([]reports.PublicKey, error) {
	if c.Key != "" {
		text, err := os.ReadFile(c.Key)
		if err != nil {
			return nil, err
		}
		return reports.ParsePublicKeys(text)
	}
	s, err := c.settings()
	if err != nil {
		return nil, err
	}
	secret, err := s.secret()
	if err != nil {
		return nil, err
	}
	return s.signer(secret).Keys(), nil
}

type reportSignCommand struct {
	Flags
	Activity string `help:"Id of the activity. (default: the only one)"`
}

// Run signs what an older canyu has frozen. It is for whoever knows that nothing was
// changed since: the audit log keeps what was signed.
func (c *reportSignCommand) Run(ctx context.Context, out stdout) error {
	s, e, a, err := c.openFor(ctx, c.Activity)
	if err != nil {
		return err
	}
	defer e.close()
	secret, err := s.secret()
	if err != nil {
		return err
	}
	n, err := reports.SignFrozen(ctx, e.archive, a, s.signer(secret), func(f *canyu.Frozen, name string) error {
		return s.audit(ctx, e, canyu.AuditEntry{What: canyu.AuditSign, Activity: a.ID, Target: name, To: reports.Digest(f.Body)})
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "activity %s: %d reports signed\n", a.ID, n)
	return nil
}
