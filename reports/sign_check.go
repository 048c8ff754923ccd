package reports

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/canyu/canyu"
)

// FrozenCheck is what was found about the reports of an activity.
type FrozenCheck struct {
	Reports  int                        // that are as they were signed
	Faults   []string                   // about the others
	Unsigned bool                       // one of them has no signature at all
	Heads    map[canyu.AuditHead]string // lines of the audit log that signed reports have seen, and which report
}

const unsigned = "has no signature"

// CheckFrozen looks at every frozen report of the regions that within (nil: all)
// accepts: whether it is there, and as it was signed by one of the keys.
func CheckFrozen(ctx context.Context, archive canyu.Archive, a *canyu.Activity, keys []PublicKey, within func(canyu.Region) bool) (*FrozenCheck, error) {
	c := &FrozenCheck{Heads: make(map[canyu.AuditHead]string)}
	err := eachFrozen(ctx, archive, a, within, func(region canyu.Region, frozen []canyu.Frozen, signatures []canyu.Signature, sent []canyu.Delivery) error {
		for i := range frozen {
			f := &frozen[i]
			name := frozenName(f.Region, f.Day, f.Revision)
			if why := c.check(a, f, signatures, keys, name); why != "" {
				c.Faults = append(c.Faults, name+" "+why)
				c.Unsigned = c.Unsigned || why == unsigned
			}
		}
		missing := ""
		for _, d := range sent { // by day and revision
			there := slices.ContainsFunc(frozen, func(f canyu.Frozen) bool { return f.Day == d.Day && f.Revision == d.Revision })
			if name := frozenName(region, d.Day, d.Revision); !there && d.Attempts > 0 && name != missing {
				missing = name
				c.Faults = append(c.Faults, name+" was sent, but is not in the archive")
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("cannot check the frozen reports of %s: %w", a.ID, err)
	}
	return c, nil
}

func (c *FrozenCheck) check(a *canyu.Activity, f *canyu.Frozen, signatures []canyu.Signature, keys []PublicKey, name string) (why string) {
	why = unsigned
	for _, s := range signatures {
		if s.Day != f.Day || s.Revision != f.Revision {
			continue
		}
		key, err := CheckSignature(f.Body, s.Text, keys)
		if errors.Is(err, ErrUnknownKey) {
			why = "is signed with key " + key + ", which report_keys does not have"
			continue
		}
		if err != nil {
			why = "is not as it was signed"
			continue
		}
		r, err := Thaw(a, *f)
		if err != nil || r.Activity != f.Activity || r.Region != f.Region || r.Day != f.Day || r.Revision != f.Revision || !r.AsOf.Equal(f.AsOf) {
			return "has the numbers of another report"
		}
		c.Reports++
		if r.Audit != nil {
			c.Heads[*r.Audit] = "the " + name
		}
		return ""
	}
	return why
}

func frozenName(region canyu.Region, day canyu.Day, revision int) string {
	return fmt.Sprintf("report of %s for %s, revision %d", region, day, revision)
}

// SignFrozen signs the reports that were frozen before there were signatures. One that
// has a signature, right or wrong, is left alone. before is asked about each.
func SignFrozen(ctx context.Context, archive canyu.Archive, a *canyu.Activity, signer *Signer, before func(f *canyu.Frozen, name string) error) (n int, err error) {
	err = eachFrozen(ctx, archive, a, nil, func(_ canyu.Region, frozen []canyu.Frozen, signatures []canyu.Signature, _ []canyu.Delivery) error {
		for i := range frozen {
			f := &frozen[i]
			if slices.ContainsFunc(signatures, func(s canyu.Signature) bool { return s.Day == f.Day && s.Revision == f.Revision }) {
				continue
			}
			if err := before(f, frozenName(f.Region, f.Day, f.Revision)); err != nil {
				return err
			}
			err := archive.AddSignature(ctx, canyu.Signature{Activity: a.ID, Region: f.Region, Day: f.Day, Revision: f.Revision, Text: signer.Sign(f.Body)})
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		return n, fmt.Errorf("cannot sign the frozen reports of %s: %w", a.ID, err)
	}
	return n, nil
}

// eachFrozen goes from region to region, for a region's reports are all that should be
// in memory at once: those that have recipients, and those that had some.
func eachFrozen(ctx context.Context, archive canyu.Archive, a *canyu.Activity, within func(canyu.Region) bool,
	do func(region canyu.Region, frozen []canyu.Frozen, signatures []canyu.Signature, sent []canyu.Delivery) error) error {
	deliveries, err := archive.Deliveries(ctx, a.ID, 0)
	if err != nil {
		return err
	}
	regions := make(map[canyu.Region][]canyu.Delivery)
	for region := range a.Report.Recipients {
		regions[region] = nil
	}
	for _, d := range deliveries {
		regions[d.Region] = append(regions[d.Region], d)
	}
	for _, region := range slices.Sorted(maps.Keys(regions)) {
		if within != nil && !within(region) {
			continue
		}
		frozen, err := archive.Frozen(ctx, a.ID, region)
		if err != nil {
			return err
		}
		signatures, err := archive.Signatures(ctx, a.ID, region)
		if err != nil {
			return err
		}
		if err := do(region, frozen, signatures, regions[region]); err != nil {
			return err
		}
	}
	return nil
}
