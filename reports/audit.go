package reports

import (
	"strings"

	"github.com/canyu/canyu"
)

// audit writes down what the visitor, or whoever decides, is about to do. Where that
// fails it is not done.
func (r *visit) audit(who, what, target, from, to string) error {
	return r.p.Audit.Add(r, canyu.AuditEntry{Who: who, What: what, Activity: r.activity.ID, Target: target, From: from, To: to})
}

// keysOf names messages, which says nothing about who wrote them.
func keysOf(messages []canyu.WallMessage) string {
	keys := make([]string, len(messages))
	for i, m := range messages {
		keys[i] = m.Key.String()
	}
	return strings.Join(keys, " ")
}
