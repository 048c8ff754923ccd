package ingest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/canyu/canyu"
)

// Theme is how the page of one activity looks and speaks where that is not as usual.
// The zero Theme is the usual one.
type Theme struct {
	Grey GreyDays

	texts    map[string]texts      // by language, complete
	pictures map[string]*pageAsset // by what they show: header, or the id of a step
	style    *pageAsset            // page.css in another colour
}

// GreyDays is when the page is without colour, for public mourning.
type GreyDays struct {
	Always bool
	Days   []canyu.Day
}

// On reports whether it is on this day.
func (g GreyDays) On(d canyu.Day) bool { return g.Always || slices.Contains(g.Days, d) }

var plainTheme Theme

// ThemeBytes bounds what a theme's pictures weigh together: the page stays within 60 KB.
const ThemeBytes = 40 << 10

const headerPicture = "header"

// themeFile is theme.json.
type themeFile struct {
	Colour string           `json:"colour"` // #rrggbb, on which white can be read
	Texts  map[string]texts `json:"texts"`  // by language: those of page/*.json that read otherwise
}

var pictureKinds = map[string]string{".webp": "image/webp", ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".svg": kindSVG}

// LoadTheme reads a folder: theme.json, and pictures such as bow.webp, named after a
// step, or header.webp. Every mistake is told.
func LoadTheme(dir string, a *canyu.Activity) (*Theme, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read the theme: %w", err)
	}
	t := &Theme{pictures: make(map[string]*pageAsset)}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	size := 0
	for _, e := range entries {
		name := e.Name()
		ext := path.Ext(name)
		shows := strings.TrimSuffix(name, ext)
		switch {
		case strings.HasPrefix(name, "."), strings.EqualFold(shows, "README"):
			continue
		case name != "theme.json" && (pictureKinds[ext] == "" || shows != headerPicture && !slices.Contains(a.Steps, shows)):
			wrong("%s: want theme.json, or a picture (.webp .png .jpg .svg) named header or after a step: %s", name, strings.Join(a.Steps, ", "))
			continue
		}
		if info, err := e.Info(); err != nil || info.Size() > 4*ThemeBytes {
			wrong("%s: is larger than %d KB", name, 4*ThemeBytes>>10)
			continue
		}
		content, err := os.ReadFile(filepath.Join(dir, name))
		switch {
		case err != nil:
			errs = append(errs, err)
		case name == "theme.json":
			t.read(content, a, wrong)
		case !isPicture(content, pictureKinds[ext]):
			wrong("%s: is no %s", name, pictureKinds[ext])
		case t.pictures[shows] != nil:
			wrong("%s: there is another picture of %s", name, shows)
		default:
			t.pictures[shows] = newAsset(name, pictureKinds[ext], content)
			size += t.pictures[shows].size()
		}
	}
	if size > ThemeBytes {
		wrong("the pictures have %d KB: want at most %d", size>>10, ThemeBytes>>10)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return t, nil
}

func isPicture(content []byte, kind string) bool {
	if kind == kindSVG {
		return strings.Contains(string(content), "<svg")
	}
	return http.DetectContentType(content) == kind
}

var textVerbs = regexp.MustCompile(`%(\[\d+\])?[sd]`)

func (t *Theme) read(content []byte, a *canyu.Activity, wrong func(string, ...any)) {
	var f themeFile
	if !utf8.Valid(content) {
		wrong("theme.json: is no UTF-8: save it as UTF-8")
		return
	}
	decoder := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(content, []byte("\ufeff"))))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		wrong("theme.json: %w", err)
		return
	}
	if f.Colour != "" {
		if c, err := contrastToWhite(f.Colour); err != nil {
			wrong("theme.json: colour %q: %w", f.Colour, err)
		} else if c < 4.5 {
			wrong("theme.json: colour %s: white on it has a contrast of %.1f, want 4.5 or more", f.Colour, c)
		} else {
			t.style = newAsset("page.css", kindCSS, append(slices.Clone(assets()["page.css"].plain), ":root{--pine:"+f.Colour+"}\n"...))
		}
	}
	t.texts = make(map[string]texts)
	for _, lang := range languageOrder {
		t.texts[lang] = maps.Clone(languages[lang])
	}
	for _, lang := range slices.Sorted(maps.Keys(f.Texts)) {
		if t.texts[lang] == nil {
			wrong("theme.json: language %q: want %s", lang, strings.Join(languageOrder, ", "))
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(f.Texts[lang])) {
			text, usual := f.Texts[lang][key], languages[lang][key]
			step, _ := strings.CutPrefix(strings.TrimSuffix(key, ".hint"), "step.")
			switch {
			case key == "language" || usual == "" && !slices.Contains(a.Steps, step):
				wrong("theme.json: %s: %q: is no text of the page", lang, key)
			case !slices.Equal(textVerbs.FindAllString(text, -1), textVerbs.FindAllString(usual, -1)):
				wrong("theme.json: %s: %q: want %s in it, as in %q", lang, key, strings.Join(textVerbs.FindAllString(usual, -1), " and "), usual)
			default:
				t.texts[lang][key] = text
			}
		}
	}
}

// contrastToWhite is WCAG's, 1 to 21.
func contrastToWhite(colour string) (float64, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 32)
	if err != nil || len(colour) != 7 || colour[0] != '#' {
		return 0, errors.New("want #rrggbb")
	}
	linear := func(shift int) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 1.05 / (0.2126*linear(16) + 0.7152*linear(8) + 0.0722*linear(0) + 0.05), nil
}

func (t *Theme) textsIn(lang string) texts {
	if own := t.texts[lang]; own != nil {
		return own
	}
	return languages[lang]
}

// Style is the address of the style sheet.
func (t *Theme) Style() string {
	if t.style != nil {
		return t.style.url()
	}
	return assetURL("page.css")
}

// Picture is the address of what shows a step, or the header; "" where there is none.
func (t *Theme) Picture(of string) string {
	if a := t.pictures[of]; a != nil {
		return a.url()
	}
	return ""
}

// asset is the theme's with this name, or nil.
func (t *Theme) asset(name string) *pageAsset {
	if t.style != nil && t.style.name == name {
		return t.style
	}
	for _, a := range t.pictures {
		if a.name == name {
			return a
		}
	}
	return nil
}
