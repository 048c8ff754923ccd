package main

import (
	"slices"
	"strings"
	"testing"
)

// A process that only reports has the pages, and takes nobody's participation.
func TestReportsServePages(t *testing.T) {
	t.Parallel()
	s := newSite(t, pair{}, "links: {keys: [new, a]}\n")
	s.must("roster", "import", s.file("roster.csv", []byte("区划代码,学校标识码,学校名称,年级,班级,人数\n341802,3418020001,甲,3,1,30\n")))
	s.serve().stop() // the activity has begun
	v := s.serve("--run", "reports")
	visitors := newVisitors(t, s)
	for _, row := range routeRows {
		here := slices.ContainsFunc([]string{"/school/", "/bureau/", "/pages/", "/link/", "/healthz", "/readyz", "/metrics"}, func(prefix string) bool {
			return strings.HasPrefix(row.path, prefix)
		})
		for i, name := range visitorNames {
			status, _, body := ask(t, row.method, v.url+strings.ReplaceAll(row.path, "ACTIVITY", s.activity), visitors[name])
			want, refused := refusals[row.allowed[i]]
			switch {
			case !here && status != 404:
				t.Errorf("%s %s: %d %s", row.method, row.path, status, body)
			case here && refused && status != want.status:
				t.Errorf("%s %s: %s gets %d, want %d", row.method, row.path, name, status, want.status)
			case here && !refused && row.allowed != everybody && (status == 401 || status == 403 || status >= 500):
				t.Errorf("%s %s: %s gets %d %s", row.method, row.path, name, status, body)
			}
		}
	}
	v.stop()
}
