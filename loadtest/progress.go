package loadtest

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
)

// progress writes one line a second: over itself on a terminal, below itself
// elsewhere; with a bar where it is known how long the run takes. End leaves the line.
func progress(w io.Writer, length time.Duration) (each func(Second), end func()) {
	before, after := "", "\n"
	if f, ok := w.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		before, after = "\r\x1b[K", ""
	}
	each = func(s Second) {
		fmt.Fprintf(w, "%s%s%4.0f s  %8.0f/s  p50 %s  p99 %s  failed %d%s", before, bar(s.At, length),
			s.At.Seconds(), s.Rate, milliseconds(s.P50), milliseconds(s.P99), s.Failed, after)
	}
	return each, func() { fmt.Fprint(w, before) }
}

func bar(at, of time.Duration) string {
	if of <= 0 {
		return ""
	}
	const width = 20
	done := int(width * min(at, of) / of)
	return strings.Repeat("█", done) + strings.Repeat("░", width-done) + " "
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f ms", inMilliseconds(d)) }

func splitList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}
