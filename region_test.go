package canyu_test

import (
	"strings"
	"testing"

	"github.com/canyu/canyu"
)

func TestRegionContains(t *testing.T) {
	t.Parallel()
	const anhui, xuancheng, xuanzhou, langxi, hefei, jiangsu = 340000, 341800, 341802, 341821, 340100, 320000
	for _, c := range []struct {
		region, other canyu.Region
		want          bool
	}{
		{anhui, anhui, true},
		{anhui, xuancheng, true},
		{anhui, xuanzhou, true},
		{anhui, jiangsu, false},
		{canyu.Nation, anhui, true},
		{canyu.Nation, xuanzhou, true},
		{canyu.Nation, canyu.Nation, true},
		{anhui, canyu.Nation, false},
		{xuancheng, xuancheng, true},
		{xuancheng, xuanzhou, true},
		{xuancheng, langxi, true},
		{xuancheng, hefei, false},
		{xuancheng, 341702, false},
		{xuancheng, anhui, false},
		{xuanzhou, xuanzhou, true},
		{xuanzhou, langxi, false},
		{xuanzhou, xuancheng, false},
	} {
		if got := c.region.Contains(c.other); got != c.want {
			t.Errorf("%s contains %s: got %v, want %v", c.region, c.other, got, c.want)
		}
	}
}

func TestRegionParent(t *testing.T) {
	t.Parallel()
	for child, want := range map[canyu.Region]canyu.Region{341802: 341800, 341800: 340000, 340000: 340000} {
		if got := child.Parent(); got != want {
			t.Errorf("parent of %s: got %s, want %s", child, got, want)
		}
		if !child.Parent().Contains(child) {
			t.Errorf("%s does not contain its child %s", child.Parent(), child)
		}
	}
}

func TestRegionPart(t *testing.T) {
	t.Parallel()
	const anhui, xuancheng, xuanzhou = 340000, 341800, 341802
	for _, c := range []struct{ region, other, want canyu.Region }{
		{canyu.Nation, xuanzhou, anhui},
		{canyu.Nation, anhui, anhui},
		{anhui, xuanzhou, xuancheng},
		{anhui, xuancheng, xuancheng},
		{anhui, anhui, anhui},
		{xuancheng, xuanzhou, xuanzhou},
		{xuancheng, xuancheng, xuancheng},
		{xuanzhou, xuanzhou, xuanzhou},
	} {
		if got := c.region.Part(c.other); got != c.want {
			t.Errorf("part of %s with %s: got %s, want %s", c.region, c.other, got, c.want)
		}
	}
}

func TestParseRegionRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "34180", "3418021", "34180a", "+41802", "-41802", " 41802", "34 802", "034180", "109999", "000000", "０４１８０２", "341802\n"} {
		if r, err := canyu.ParseRegion(s); err == nil {
			t.Errorf("%q: got %s, want an error", s, r)
		}
	}
}

func FuzzParseRegion(f *testing.F) {
	for _, s := range []string{"341802", "340000", "110000", "999999", "+41802", "34180", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := canyu.ParseRegion(s)
		if err != nil {
			return
		}
		if r.String() != s {
			t.Errorf("%q was read as %s", s, r)
		}
		if !r.Contains(r) || !r.Parent().Contains(r) {
			t.Errorf("%s does not lie within itself or its parent", r)
		}
	})
}

func FuzzParseSchoolCode(f *testing.F) {
	for _, s := range []string{"3418020001", "0000000001", "9999999999", "0000000000", "+418020001", "341802001", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		code, err := canyu.ParseSchoolCode(s)
		switch {
		case err == nil && code.String() != s:
			t.Errorf("%q was read as %s", s, code)
		case err != nil && len(s) == 10 && strings.Trim(s, "0123456789") == "" && strings.Trim(s, "0") != "":
			t.Errorf("%q was refused: %v", s, err)
		}
	})
}

func TestRegionNames(t *testing.T) {
	t.Parallel()
	for r, want := range map[canyu.Region]string{
		340000: "安徽省", 341800: "宣城市", 341802: "宣州区",
		341822: "广德县", // a county until 2019: rosters have it
		653228: "和康县", // since 2024
		990101: "990101",
	} {
		if got := r.Name(); got != want {
			t.Errorf("%s is %s, want %s", r, got, want)
		}
	}
}
