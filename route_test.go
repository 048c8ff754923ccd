package canyu_test

import (
	"testing"

	"github.com/canyu/canyu"
)

func TestRouteMatch(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		route, path, first string
		ok                 bool
	}{
		{"/", "/", "", true},
		{"/", "/x", "", false},
		{"/v1/participations", "/v1/participations", "", true},
		{"/v1/participations", "/v1/participations2", "", false},
		{"/a/{activity}", "/a/x", "x", true},
		{"/a/{activity}", "/a/", "", false},
		{"/a/{activity}", "/a/x/wall", "", false},
		{"/a/{activity}/wall", "/a/x/wall", "x", true},
		{"/a/{activity}/wall", "/a//wall", "", false},
		{"/a/{activity}/wall", "/a/x/y/wall", "", false},
		{"/school/{school}/classes.{kind}", "/school/1/classes.csv", "1", true},
		{"/school/{school}/classes.{kind}", "/school/1/classes.", "", false},
		{"/school/{school}/classes.{kind}", "/school/1/classes", "", false},
	} {
		r := canyu.Route{Path: c.route}
		if first, ok := r.Match(c.path); ok != c.ok || ok && first != c.first {
			t.Errorf("%s matches %s: %v, %q", c.route, c.path, ok, first)
		}
	}
	routes := []canyu.Route{{Path: "/", Methods: "GET, HEAD"}, {Path: "/a/{activity}", Methods: "GET, HEAD, POST"}}
	if r := canyu.FindRoute(routes, "/a/x/"); r != &routes[1] || !r.Allows("POST") || r.Allows("PUT") || r.Allows("GET, HEAD") {
		t.Errorf("a / at the end: %+v", r)
	}
	if r := canyu.FindRoute(routes, "//"); r != &routes[0] {
		t.Errorf("//: %+v", r)
	}
}
