package reports_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/canyu/canyu/reports"
)

func TestScreen(t *testing.T) {
	t.Parallel()
	s, err := reports.ReadScreen(strings.NewReader("\ufeff# ours\r\n傻瓜\r\n\r\n壞人\nSB\n烈士\n烈士陵\n"))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":           "",
		"缅怀先烈，吾辈自强！": "",
		"1937年7月7日—1945年8月15日，铭记历史": "",
		"一九三七年七月七日":                 "",
		"1937.7.7-1945.9.3":         "",
		"1921-2021 百年":              "",
		"先辈用生命换来今天，我们三年级2班45人一起献花": "",
		"你是傻瓜":                         "word:傻瓜",
		"傻　瓜":                          "word:傻瓜",
		"傻.\u200b瓜":                    "word:傻瓜",
		"坏 人":                          "word:壞人",
		"坏*人":                          "word:壞人",
		"ｓ-Ｂ":                          "word:SB",
		"去烈士陵园":                        "word:烈士陵",
		"我的电话13800138000":              "phone",
		"１３８　0013 8000 找我":             "phone",
		"138-0013-8000":                "phone",
		"一三八零零一三八零零零":                  "phone",
		"幺三八〇〇幺三八〇〇〇":                  "phone",
		"打0563-3012345":                "phone",
		"+86 13800138000":              "phone",
		"身份证 341802200801011234":       "card",
		"34180220080101123X":           "card",
		"看 HTTPS://example.org/x":      "link",
		"a.b@例子 example@qq.com":        "link",
		"去ｅｘａｍｐｌｅ．ｃｏｍ看":                "link",
		"QQ:12345":                     "account",
		"扣扣一二三四五六":                     "account",
		"微信 abc_12345":                 "account",
		"加我微信":                         "account",
		"加個好友":                         "account",
		"号码123456789":                  "number",
		"I shall always remember you.": "",
		"v.s. the enemy: 3.14":         "",
	} {
		if got := s.Hold(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	none, err := reports.ReadScreen(strings.NewReader(""))
	if err != nil || none.Hold("傻瓜") != "" || none.Hold("13800138000") != "phone" {
		t.Errorf("without a list: %v, %q", err, none.Hold("傻瓜"))
	}
	_, err = reports.ReadScreen(strings.NewReader("好\n!!!\n\xff\xfe\n"))
	if err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("a bad list: %v", err)
	}
}

// TestScreenAtOnce: one list serves every request.
func TestScreenAtOnce(t *testing.T) {
	t.Parallel()
	var list strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&list, "词语%d号\n", i)
	}
	s, err := reports.ReadScreen(strings.NewReader(list.String()))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 200 {
				n := (g*200 + i) % 3000
				if got, want := s.Hold(fmt.Sprintf("一段话，词 语%d号，完", n)), fmt.Sprintf("word:词语%d号", n); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
	wg.Wait()
}
