package reports

import (
	"fmt"

	"github.com/canyu/canyu"
	"github.com/xuri/excelize/v2"
)

// days is small and has the chart, so it is not streamed.
func (b *workbook) days() error {
	s, sheet := b.s, b.s.say("days")
	roles := b.r.activity.Roles
	heads := []any{s.say("day"), s.say("chart.new"), s.say("chart.total")}
	for _, role := range roles {
		if role != canyu.Student {
			heads = append(heads, s.say("new", s.role(role)))
		}
	}
	heads = append(heads, s.say("submissions"))
	rows := [][]any{heads}
	total := 0
	for _, d := range b.r.Days {
		total += d.Student
		row := []any{d.Day, d.Student, total}
		for _, role := range roles {
			if role != canyu.Student {
				row = append(row, *d.at(role))
			}
		}
		rows = append(rows, append(row, d.Submissions))
	}
	for i, row := range rows {
		for j, v := range row {
			if err := b.set(sheet, j+1, i+1, v, i == 0); err != nil {
				return err
			}
		}
	}
	if err := b.SetColWidth(sheet, "A", "H", 14); err != nil {
		return err
	}
	if err := b.SetPanes(sheet, &excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	corner, err := excelize.CoordinatesToCellName(len(heads), max(2, len(rows)))
	if err != nil {
		return err
	}
	if err := b.AutoFilter(sheet, "A1:"+corner, nil); err != nil {
		return err
	}
	return b.trend(sheet, len(rows))
}

// trend is the mail's chart as Excel draws it.
func (b *workbook) trend(sheet string, rows int) error {
	if rows < 2 {
		return nil
	}
	series := func(column string) []excelize.ChartSeries {
		cells := func(column string) string { return fmt.Sprintf("'%s'!$%s$2:$%s$%d", sheet, column, column, rows) }
		return []excelize.ChartSeries{{Name: fmt.Sprintf("'%s'!$%s$1", sheet, column), Categories: cells("A"), Values: cells(column)}}
	}
	font := excelize.Font{Color: "5B636E", Size: 9}
	axis := func(secondary bool) excelize.ChartAxis {
		return excelize.ChartAxis{Minimum: new(0.0), Font: font, Secondary: secondary}
	}
	return b.AddChart(sheet, fmt.Sprintf("A%d", rows+3),
		&excelize.Chart{Type: excelize.Col, Series: series("B"), YAxis: axis(false), XAxis: excelize.ChartAxis{Font: font, NumFmt: excelize.ChartNumFmt{CustomNumFmt: "m-d"}},
			Title:  excelize.ChartTitle{Paragraph: []excelize.RichTextRun{{Text: b.s.say("trend")}}},
			Legend: excelize.ChartLegend{Position: "bottom"}, Dimension: excelize.ChartDimension{Width: 720, Height: 360}},
		&excelize.Chart{Type: excelize.Line, Series: series("C"), YAxis: axis(true)})
}
