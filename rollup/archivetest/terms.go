package archivetest

import (
	"testing"

	"github.com/canyu/canyu"
)

func testTerms(t *testing.T, open Open) {
	a, b, act := begin(t, open), begin(t, open), activity()
	equal(t, "new", get[canyu.Terms](t)(a.Terms(t.Context(), act)), canyu.Terms{})
	for _, terms := range []canyu.Terms{{Identify: canyu.BySeat, Zone: "Asia/Shanghai"}, {Identify: canyu.ByName, Zone: "Asia/Urumqi"}, {Identify: canyu.BySeat, Zone: "Asia/Shanghai"}} {
		must(t, a.SetTerms(t.Context(), act, terms))
		equal(t, "terms", get[canyu.Terms](t)(a.Terms(t.Context(), act)), terms)
		equal(t, "terms, seen by another", get[canyu.Terms](t)(b.Terms(t.Context(), act)), terms)
		a, b = b, a
	}
	equal(t, "of another activity", get[canyu.Terms](t)(a.Terms(t.Context(), activity())), canyu.Terms{})
}
