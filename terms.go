package canyu

import (
	"context"
	"errors"
	"fmt"
)

// ErrTerms: the activity was begun with another way to tell people apart, or with
// another midnight.
var ErrTerms = errors.New("the same person would count twice, or on another day")

// Terms are what never changes within an activity that somebody has taken part in.
type Terms struct {
	Identify Identify
	Zone     string
}

// TermsArchive is the part of an Archive that keeps the terms.
type TermsArchive interface {
	// Terms of an activity, zero where they are not known: it is new, or was begun
	// before they were kept.
	Terms(ctx context.Context, activity string) (Terms, error)

	// SetTerms changes them, durably.
	SetTerms(ctx context.Context, activity string, t Terms) error
}

// Terms of the activity as it is configured.
func (a *Activity) Terms() Terms { return Terms{a.Identify, a.Zone.String()} }

// Differ is ErrTerms, with what to do, where an activity began with others than now.
func (t Terms) Differ(activity string, now Terms) error {
	var errs []error
	if t.Identify != now.Identify {
		errs = append(errs, fmt.Errorf("identify was %s when %s began and is %s now: put it back", t.Identify, activity, now.Identify))
	}
	if t.Zone != now.Zone {
		errs = append(errs, fmt.Errorf("timezone was %s when %s began and is %s now: put it back", t.Zone, activity, now.Zone))
	}
	if errs == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errors.Join(errs...), ErrTerms)
}

// KeepTerms makes sure that an activity is counted on the terms that it began with. It
// comes after Attach. While nobody has taken part they may still be changed; and those
// of an activity that was begun before they were kept are what they are now.
func KeepTerms(ctx context.Context, l Ledger, archive Archive, a *Activity) error {
	was, err := archive.Terms(ctx, a.ID)
	now := a.Terms()
	if err != nil || was == now {
		return err
	}
	if was != (Terms{}) {
		total, err := l.Total(ctx, a.ID)
		if err != nil {
			return fmt.Errorf("activity %s: cannot read the ledger: %w", a.ID, err)
		}
		if total > 0 {
			return fmt.Errorf("activity %s: %w", a.ID, was.Differ(a.ID, now))
		}
	}
	return archive.SetTerms(ctx, a.ID, now)
}
