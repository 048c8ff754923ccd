package linksheet

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"strings"
	"time"

	"github.com/canyu/canyu"
)

// Sheet is a school's links, to be printed and cut.
type Sheet struct {
	Lang     string // zh-Hans, zh-Hant or en
	Activity *canyu.Activity
	School   *canyu.School
	Expires  time.Time
	// Link is the address of a class's link.
	Link func(canyu.SchoolClass) (string, error)
}

//go:embed sheet.html
var sheetHTML string

var sheetTemplate = template.Must(template.New("").Parse(sheetHTML))

type words struct {
	Title, Hint, Class, Pupils, Until, Note string
	grades                                  string
	date                                    string
}

var languages = map[string]words{
	"zh-Hans": {
		"班级二维码", "扫码进入本班页面", "%s%d班", "%d人", "有效期至%s", "凭此码可查看本班已参与和未参与的座号，请沿虚线剪开，交给班主任。",
		"一年级 二年级 三年级 四年级 五年级 六年级 七年级 八年级 九年级 高一 高二 高三", "2006年1月2日",
	},
	"zh-Hant": {
		"班級二維碼", "掃碼進入本班頁面", "%s%d班", "%d人", "有效期至%s", "憑此碼可查看本班已參與和未參與的座號，請沿虛線剪開，交給班主任。",
		"一年級 二年級 三年級 四年級 五年級 六年級 七年級 八年級 九年級 高一 高二 高三", "2006年1月2日",
	},
	"en": {
		"Codes of the classes", "Scan to open the page of the class", "%s, Class %d", "%d pupils", "Valid until %s",
		"The code shows which seats of its class have taken part and which have not. Cut along the lines and give each to its class teacher.",
		"Grade_1 Grade_2 Grade_3 Grade_4 Grade_5 Grade_6 Grade_7 Grade_8 Grade_9 Grade_10 Grade_11 Grade_12", "2 January 2006",
	},
}

// Write writes the sheet as one file of HTML that needs nothing else.
func (s Sheet) Write(w io.Writer) error {
	t, ok := languages[s.Lang]
	if !ok {
		s.Lang, t = "zh-Hans", languages["zh-Hans"]
	}
	type card struct {
		Class, Pupils string
		Code          template.HTML
	}
	var cards []card
	names := strings.Fields(t.grades)
	for _, c := range s.School.Classes {
		link, err := s.Link(c)
		if err != nil {
			return err
		}
		code, err := Encode(link)
		if err != nil {
			return err
		}
		name := strings.ReplaceAll(names[c.Grade-1], "_", " ")
		cards = append(cards, card{
			fmt.Sprintf(t.Class, name, c.Number), fmt.Sprintf(t.Pupils, c.Enrolled),
			template.HTML(code.SVG()), // ours, made of digits
		})
	}
	err := sheetTemplate.Execute(w, map[string]any{
		"Lang": s.Lang, "T": t, "Activity": s.Activity.Title.In(s.Lang), "School": s.School.Name, "Cards": cards,
		"Until": fmt.Sprintf(t.Until, s.Expires.In(s.Activity.Zone).Add(-time.Second).Format(t.date)),
	})
	if err != nil {
		return fmt.Errorf("cannot write the sheet: %w", err)
	}
	return nil
}
