package reports

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"strings"
	"sync"

	"github.com/canyu/canyu"
)

// Codes and names of provinces, cities and counties (GB/T 2260): china-division
// 2.7.0, the Statistics Bureau's list of mid-2023 without its statistical areas,
// the two counties set up in 2024, and 341822, a county until 2019.
//
//go:embed regions.txt.gz
var regionsGzip []byte

var regionNames = sync.OnceValue(func() map[canyu.Region]string {
	names := make(map[canyu.Region]string)
	unzip, err := gzip.NewReader(bytes.NewReader(regionsGzip))
	if err != nil {
		return names // a name is a convenience: the code stands in every form
	}
	for lines := bufio.NewScanner(unzip); lines.Scan(); {
		code, name, _ := strings.Cut(lines.Text(), " ")
		if region, err := canyu.ParseRegion(code); err == nil {
			names[region] = name
		}
	}
	return names
})

// RegionName is the name of a region, or its code where it has none here.
func RegionName(r canyu.Region) string {
	if name := regionNames()[r]; name != "" {
		return name
	}
	return r.String()
}
