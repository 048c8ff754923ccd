package ingest

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/canyu/canyu"
)

// What a cell of a roster may hold is what people and spreadsheets make of it:
// full-width digits, 三年级, 初一, (2)班, 3418020001.0. Whatever could mean two
// things is refused.

var errMissing = errors.New("missing")

// simplified replaces the traditional characters of headings and of names of grades.
var simplified = strings.NewReplacer("區", "区", "劃", "划", "碼", "码", "學", "学", "標", "标", "識", "识",
	"稱", "称", "級", "级", "數", "数", "應", "应", "參", "参", "與", "与", "號", "号", "國", "国")

// plain is a cell in half-width, simplified characters without white space.
func plain(cell string) string {
	return simplified.Replace(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '\ufeff' || r == '\u200b' {
			return -1
		}
		return r
	}, norm.NFKC.String(cell)))
}

// digits reads what should be an identifier of n digits. Spreadsheets take codes
// for numbers: what they append is removed, what they may have lost is asked for.
func digits(cell string, n int) (string, error) {
	s := strings.TrimPrefix(plain(cell), "'")
	mantissa, exponent, scientific := strings.Cut(strings.ToUpper(s), "E")
	if scientific {
		whole, fraction, _ := strings.Cut(mantissa, ".")
		e, err := strconv.Atoi(strings.TrimPrefix(exponent, "+"))
		if err != nil || len(whole) != 1 || len(fraction) != n-1 || e != n-1 {
			return "", fmt.Errorf("%s is a number that the spreadsheet has shortened: format the column as text and enter the %d digits again", quoteCell(cell), n)
		}
		s = whole + fraction
	} else if whole, fraction, ok := strings.Cut(s, "."); ok && strings.Trim(fraction, "0") == "" {
		s = whole
	}
	switch {
	case s == "" || strings.Trim(s, "0123456789") != "":
		return "", fmt.Errorf("%s: want %d digits", quoteCell(cell), n)
	case len(s) == n-1:
		return "", fmt.Errorf("%s has %d digits, want %d: if the spreadsheet has dropped a leading 0, format the column as text and enter it again", quoteCell(cell), len(s), n)
	case len(s) != n:
		return "", fmt.Errorf("%s has %d digits, want %d", quoteCell(cell), len(s), n)
	}
	return s, nil
}

func regionCell(cell string) (canyu.Region, error) {
	s, err := digits(cell, 6)
	if err != nil {
		return 0, err
	}
	return canyu.ParseRegion(s)
}

func schoolCell(cell string) (canyu.SchoolCode, error) {
	s, err := digits(cell, 10)
	if err != nil {
		return 0, err
	}
	return canyu.ParseSchoolCode(s)
}

// maxSchoolName is in characters; the longest names of Chinese schools have about 40.
const maxSchoolName = 100

func nameCell(cell string) (string, error) {
	s := strings.TrimFunc(cell, func(r rune) bool { return unicode.IsSpace(r) || r == '\ufeff' || r == '\u200b' })
	switch {
	case utf8.RuneCountInString(s) > maxSchoolName:
		return "", fmt.Errorf("%s is %d characters long: want at most %d", quoteCell(s), utf8.RuneCountInString(s), maxSchoolName)
	case strings.ContainsFunc(s, unicode.IsControl):
		return "", fmt.Errorf("%s has a line break or another control character in it", quoteCell(s))
	case strings.Trim(s, "0123456789") == "":
		return "", fmt.Errorf("%s is no name of a school", quoteCell(s))
	}
	return s, nil
}

const (
	arabic  = `[0-9]{1,4}(?:\.0+)?`
	chinese = `[一二三四五六七八九]?十[一二三四五六七八九]?|[一二三四五六七八九]`
	stage   = `小学|初中?|高中?`
)

var (
	gradeForm = regexp.MustCompile(`^(` + stage + `)?(` + arabic + `|` + chinese + `)(?:年?级)?$`)
	// 2, 2班, (2)班, 二班
	classForm = regexp.MustCompile(`^(?:\((` + arabic + `|` + chinese + `)\)|(` + arabic + `|` + chinese + `))班?$`)
	// 三年级2班, 3年级(2)班; 三(2)班, 3(2)班; 三2班
	gradeClassForm = regexp.MustCompile(`^((?:` + stage + `)?(?:[0-9]{1,2}|` + chinese + `)年级?)\(?(` + arabic + `|` + chinese + `)\)?班?$` +
		`|^((?:` + stage + `)?(?:[0-9]{1,2}|` + chinese + `))\((` + arabic + `|` + chinese + `)\)班?$` +
		`|^((?:` + stage + `)?(?:` + chinese + `))([0-9]{1,3})班$`)
)

// grades of each stage: the grade before its first, and how many it has.
var stages = map[string][2]int{"": {0, canyu.MaxGrade}, "小学": {0, 6}, "初": {6, 3}, "初中": {6, 3}, "高": {9, 3}, "高中": {9, 3}}

func gradeCell(cell string) (uint8, error) {
	m := gradeForm.FindStringSubmatch(plain(cell))
	if m == nil {
		return 0, fmt.Errorf("%s: want a grade such as 3, 三年级, 初一 or 高一", quoteCell(cell))
	}
	before, n := stages[m[1]], number(m[2])
	if n < 1 || n > before[1] {
		return 0, fmt.Errorf("%s: want a grade, %s1–%d", quoteCell(cell), m[1], before[1])
	}
	return uint8(before[0] + n), nil
}

// classCell reads a class of a grade; where the cell names the grade too, it has
// to be the same. A grade of 0 is one that could not be read.
func classCell(cell string, grade uint8) (uint16, error) {
	s := plain(cell)
	var class string
	if m := classForm.FindStringSubmatch(s); m != nil {
		class = m[1] + m[2]
	} else if m := gradeClassForm.FindStringSubmatch(s); m != nil {
		class = m[2] + m[4] + m[6]
		g, err := gradeCell(strings.TrimSuffix(m[1]+m[3]+m[5], "年"))
		if err != nil {
			return 0, err
		}
		if grade != 0 && g != grade {
			return 0, fmt.Errorf("%s is in grade %d, but the row says grade %d", quoteCell(cell), g, grade)
		}
	} else {
		return 0, fmt.Errorf("%s: want a class such as 2, 2班 or (2)班", quoteCell(cell))
	}
	n := number(class)
	if n < 1 || n > canyu.MaxClass {
		return 0, fmt.Errorf("%s: want a class, 1–%d", quoteCell(cell), canyu.MaxClass)
	}
	return uint16(n), nil
}

var enrolledForm = regexp.MustCompile(`^(` + arabic + `)人?$`)

func enrolledCell(cell string) (int, error) {
	m := enrolledForm.FindStringSubmatch(plain(cell))
	if m == nil {
		return 0, fmt.Errorf("%s: want a number of pupils", quoteCell(cell))
	}
	n := number(m[1])
	if n > canyu.MaxEnrolled {
		return 0, fmt.Errorf("%s: want at most %d pupils in a class", quoteCell(cell), canyu.MaxEnrolled)
	}
	return n, nil
}

// number reads what the patterns above call arabic or chinese.
func number(s string) int {
	if s[0] >= '0' && s[0] <= '9' {
		s, _, _ = strings.Cut(s, ".")
		n, _ := strconv.Atoi(s)
		return n
	}
	const numerals = "一二三四五六七八九"
	value := func(s string) int { return strings.Index(numerals, s)/len("一") + 1 }
	tens, ones, ok := strings.Cut(s, "十")
	switch {
	case !ok:
		return value(s)
	case tens == "":
		tens = "一"
	}
	n := 10 * value(tens)
	if ones != "" {
		n += value(ones)
	}
	return n
}
