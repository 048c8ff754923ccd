package reports

import (
	"context"
	"slices"
	"strings"

	"github.com/canyu/canyu"
)

// unhidden takes the messages that a review has hidden out of a report's. The others
// stay as they were written: a report is for officials, not for the wall.
func (b *builder) unhidden(ctx context.Context, messages []canyu.Message) ([]canyu.Message, error) {
	if b.activity.Wall == nil {
		return messages, nil
	}
	hidden, err := b.archive.Wall(ctx, b.activity.ID, canyu.WallQuery{State: canyu.Hidden, Schools: b.schoolCodes(), Limit: maxMessages})
	if err != nil {
		return nil, err
	}
	out := make(map[canyu.Message]bool, len(hidden))
	for _, m := range hidden {
		m.At = m.At.UTC()
		out[m.Message] = true
	}
	return slices.DeleteFunc(messages, func(m canyu.Message) bool {
		m.At = m.At.UTC()
		return out[m]
	}), nil
}

// held says in a report why a message is to be looked at with care, "" for most.
func (s speaker) held(reason string) string {
	code, found, _ := strings.Cut(reason, ":")
	switch {
	case code == "":
		return ""
	case found == "":
		return s.page("held." + code)
	}
	return s.page("held.found", s.page("held."+code), found)
}
