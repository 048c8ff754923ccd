package linksheet_test

import (
	"bytes"
	"errors"
	"fmt"
	"image/png"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports/linksheet"
)

const link = "https://canyu.example.org/link/AQU3KgDLutihAwACa3sKAAFhDL8ZgEbW4h95cc6XRYd1Rw"

// The three drawings of a code are one code.
func TestCodeIsDrawnAlike(t *testing.T) {
	t.Parallel()
	c, err := linksheet.Encode(link)
	if err != nil {
		t.Fatal(err)
	}
	const margin = 4
	dark := make(map[[2]int]bool)
	for _, m := range regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1`).FindAllStringSubmatch(c.SVG(), -1) {
		var x, y, n int
		if _, err := fmt.Sscan(m[1]+" "+m[2]+" "+m[3], &x, &y, &n); err != nil {
			t.Fatal(err)
		}
		for i := range n {
			dark[[2]int{x - margin + i, y - margin}] = true
		}
	}
	image, err := png.Decode(bytes.NewReader(c.PNG()))
	if err != nil {
		t.Fatal(err)
	}
	scale := image.Bounds().Dx() / (c.Size + 2*margin)
	rows := strings.Split(regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(c.Terminal(), ""), "\n")
	for y := range c.Size {
		for x := range c.Size {
			black := c.Black(x, y)
			if dark[[2]int{x, y}] != black {
				t.Fatalf("the SVG differs at %d, %d", x, y)
			}
			if r, _, _, _ := image.At((x+margin)*scale+scale/2, (y+margin)*scale+scale/2).RGBA(); (r == 0) != black {
				t.Fatalf("the image differs at %d, %d", x, y)
			}
			block := []rune(rows[(y+margin)/2])[x+margin]
			if strings.ContainsRune([]string{"█▀", "█▄"}[y%2], block) != black {
				t.Fatalf("the terminal differs at %d, %d", x, y)
			}
		}
	}
}

func TestSheetHasEveryClass(t *testing.T) {
	t.Parallel()
	roster, err := canyu.NewRoster([]canyu.RosterEntry{
		{Region: 341802, School: 3418020001, Name: "宣州区<第一>小学", Grade: 3, Class: 2, Enrolled: 45},
		{Region: 341802, School: 3418020001, Name: "宣州区<第一>小学", Grade: 3, Class: 1, Enrolled: 44},
		{Region: 341802, School: 3418020001, Name: "宣州区<第一>小学", Grade: 10, Class: 12, Enrolled: 50},
	})
	if err != nil {
		t.Fatal(err)
	}
	shanghai := time.FixedZone("", 8*3600)
	var asked []canyu.SchoolClass
	s := linksheet.Sheet{
		Lang:     "zh-Hans",
		Activity: &canyu.Activity{Title: canyu.Text{"zh-Hans": "网上祭英烈", "en": "Online memorial"}, Zone: shanghai},
		School:   roster.School(3418020001),
		Expires:  time.Date(2017, 5, 1, 0, 0, 0, 0, shanghai),
		Link: func(c canyu.SchoolClass) (string, error) {
			asked = append(asked, c)
			return fmt.Sprint(link, c.Number), nil
		},
	}
	var page bytes.Buffer
	if err := s.Write(&page); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	for _, want := range []string{"宣州区&lt;第一&gt;小学", "网上祭英烈", "三年级1班", "三年级2班", "45人", "高一12班", "有效期至2017年4月30日", "沿虚线剪开"} {
		if !strings.Contains(text, want) {
			t.Errorf("the sheet says nothing of %s", want)
		}
	}
	if n := strings.Count(text, "<svg"); n != 3 || len(asked) != 3 {
		t.Errorf("%d codes for %v", n, asked)
	}
	if other := regexp.MustCompile(`(src|href)=|url\(|@import`).FindString(text); other != "" || strings.Contains(text, "/link/") {
		t.Errorf("the sheet needs more than itself, or tells a link in words: %s", other)
	}
	s.Lang = "en"
	page.Reset()
	if err := s.Write(&page); err != nil || !strings.Contains(page.String(), "Grade 10, Class 12") || !strings.Contains(page.String(), "30 April 2017") {
		t.Errorf("%v, %s", err, page.String()[:2000])
	}
	s.Link = func(canyu.SchoolClass) (string, error) { return "", errors.New("no key") }
	if err := s.Write(&page); err == nil {
		t.Error("a sheet without links")
	}
}
