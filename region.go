package canyu

import (
	"fmt"
	"strconv"
)

// Region is an administrative division, a six-digit code of GB/T 2260: two digits
// of province, two of city, two of county. 340000 is a province, 341800 a city in
// it, 341802 a county of that city.
type Region uint32

// Nation is the whole country: it contains every region.
const Nation Region = 100000

// ParseRegion reads six digits.
func ParseRegion(s string) (Region, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || len(s) != 6 || n < 110000 && Region(n) != Nation {
		return 0, fmt.Errorf("region %q: want a six-digit GB/T 2260 code such as 341802", s)
	}
	return Region(n), nil
}

func (r Region) String() string { return fmt.Sprintf("%06d", uint32(r)) }

// Parent is the city of a county and the province of a city; a province is its own.
func (r Region) Parent() Region {
	if r%100 != 0 {
		return r - r%100
	}
	return r - r%10000
}

// Contains reports whether o is r or lies within it.
func (r Region) Contains(o Region) bool {
	switch {
	case r == Nation:
		return true
	case r%10000 == 0:
		return o/10000 == r/10000
	case r%100 == 0:
		return o/100 == r/100
	}
	return o == r
}

// Part is the part of r, one level below it, that o lies in: of the nation a province,
// of a province a city, of a city a county. It is r where o lies in no part of it.
func (r Region) Part(o Region) Region {
	switch {
	case r == Nation:
		return o - o%10000
	case r%10000 == 0 && o%10000 != 0:
		return o - o%100
	case r%100 == 0 && o%100 != 0:
		return o
	}
	return r
}

// MarshalText and UnmarshalText use the six digits.
func (r Region) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is ParseRegion.
func (r *Region) UnmarshalText(b []byte) (err error) {
	*r, err = ParseRegion(string(b))
	return err
}
