package canyu

import "strings"

// Route is one kind of address that canyu answers. Servers answer what stands in a
// list of routes and nothing else: so the list is all that there is to guard, and
// deploy/ROUTES.md shows it.
type Route struct {
	Path    string // {…} stands for what is not empty and has no / in it
	Methods string // as Allow tells them: GET, HEAD
	Opens   Opens  // to whom
	Body    int    // bytes that may come with it; 0: none
	Pace    string // what bounds how often; "": nothing but the connections
}

// Opens is whom a route is for.
type Opens string

// Whom routes are for. The scopes are the narrowest links that open a route; a wider
// one that covers what is asked for opens it as well.
const (
	ToAll    Opens = "everybody"
	ToNear   Opens = "this machine and private addresses"
	ToClass  Opens = "class"
	ToSchool Opens = "school"
	ToRegion Opens = "region"
	ToCounts Opens = "everybody, as far as the activity says; else school, region" // see Publicity
)

// Match reports whether path is one of the route's, and what stands for its first {…}.
func (r *Route) Match(path string) (first string, ok bool) {
	for rest := r.Path; ; {
		open := strings.IndexByte(rest, '{')
		if open < 0 {
			return first, path == rest
		}
		if !strings.HasPrefix(path, rest[:open]) {
			return "", false
		}
		path, rest = path[open:], rest[strings.IndexByte(rest, '}')+1:]
		end := strings.IndexByte(path, '/')
		if end < 0 {
			end = len(path)
		}
		if end == 0 {
			return "", false
		}
		if first == "" {
			first = path[:end]
		}
		path = path[end:]
	}
}

// Allows reports whether the route takes the method.
func (r *Route) Allows(method string) bool {
	for m := range strings.SplitSeq(r.Methods, ", ") {
		if m == method {
			return true
		}
	}
	return false
}

// FindRoute is the first of the routes that has the path, or nil. One / at the end of
// a path is passed over: people type it.
func FindRoute(routes []Route, path string) *Route {
	path = TrimSlash(path)
	for i := range routes {
		if _, ok := routes[i].Match(path); ok {
			return &routes[i]
		}
	}
	return nil
}

// TrimSlash is the path without a / at its end.
func TrimSlash(path string) string {
	if len(path) > 1 && path[len(path)-1] == '/' {
		return path[:len(path)-1]
	}
	return path
}
