package reports_test

import (
	"testing"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/reports"
)

// Nothing that is filed lies on top of another report: a correction has a name of its
// own, and one report alone is that of the whole activity.
func TestReportNames(t *testing.T) {
	t.Parallel()
	a := qingming(t)
	a.Report.Days = canyu.ListedDays
	a.Report.List = []canyu.Day{day(t, "2017-04-08"), day(t, "2017-04-10"), day(t, "2017-04-05")}
	var got []string
	for _, date := range []string{"2017-04-05", "2017-04-08", "2017-04-10"} {
		r, err := reports.Compute(a, calendar(t), county(t), rollups(t), nil, nil, 341802, day(t, date), reports.DueAt(a, day(t, date)))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, r.Subject(""), r.FileName(""))
		if r.Revision = 2; date == "2017-04-10" {
			got = append(got, r.Subject(""), r.FileName(""), r.FileName("zh-Hant"), r.FileName("en"))
		}
	}
	check(t, got,
		"【网上祭英烈】宣州区 4月5日参与情况", "宣州区_2017-04-05_网上祭英烈参与情况.xlsx",
		"【网上祭英烈】宣州区 4月8日参与情况", "宣州区_2017-04-08_网上祭英烈参与情况.xlsx",
		"【网上祭英烈】宣州区 全程参与情况", "宣州区_2017-04-10_网上祭英烈参与情况.xlsx",
		"【网上祭英烈】宣州区 全程参与情况（更正 1）", "宣州区_2017-04-10_网上祭英烈参与情况_更正1.xlsx",
		"宣州区_2017-04-10_網上祭英烈參與情況_更正1.xlsx", "宣州区_2017-04-10_Online memorial_participation_correction_1.xlsx")
}
