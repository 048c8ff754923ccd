package reports

import (
	"context"
	"time"

	"github.com/canyu/canyu"
)

// reviewLink is how a page leads to the review of its messages, and says how many
// wait there. Those held are among them.
func (r *visit) reviewLink(where place, page string, schools []*canyu.School) {
	if r.activity.Wall == nil {
		return
	}
	url := r.link(page + "/messages")
	r.Exports = append(r.Exports, pageLink{URL: url, Text: r.Say("review.title")})
	codes := r.reviewedSchools(schools, "")
	n, _, err := r.p.reviews.get(r, r.p, where, 15*time.Second, 300*time.Millisecond, func(ctx context.Context) (int, error) {
		counts, err := r.p.Archive.WallCounts(ctx, where.activity, codes)
		return counts[canyu.Waiting] + counts[canyu.Reported], err
	})
	if err == nil && n > 0 {
		r.ToReview = &pageLink{URL: url, Text: r.Say("review.link", number(n))}
	}
}
