package reports

import (
	_ "embed"
	"fmt"
	"sync"

	"github.com/go-analyze/charts"
	"github.com/golang/freetype/truetype"
)

// The chart's own few words in Chinese need no whole font: see font/README.md.
//
//go:embed font/trend.ttf
var chartFontFile []byte

var chartFont = sync.OnceValues(func() (*truetype.Font, error) { return truetype.Parse(chartFontFile) })

// chart is the trend over the activity's days as a PNG: new students as bars, all
// so far as a line. nil on the first day: one day is no trend. It has no ground, and
// colours between light and dark: it is read on a white mail, and on one that a
// client has turned dark, with or without the mail's own style for that.
func (r *Report) chart(lang string) ([]byte, error) {
	if len(r.Days) < 2 {
		return nil, nil
	}
	font, err := chartFont()
	if err != nil {
		return nil, fmt.Errorf("cannot read the chart's font: %w", err)
	}
	s := r.speaker(lang)
	labels := make([]string, len(r.Days))
	fresh, total := make([]float64, len(r.Days)), make([]float64, len(r.Days))
	most, sum := 1.0, 0.0
	for i, d := range r.Days {
		_, month, day := d.Day.Date()
		labels[i] = fmt.Sprintf("%d-%d", month, day)
		sum += float64(d.Student)
		fresh[i], total[i] = float64(d.Student), sum
		most = max(most, fresh[i])
	}
	// On a phone the picture is shown at a third of its size: its letters are large.
	text := charts.FontStyle{FontSize: 22, Font: font, FontColor: charts.ColorFromHex("#6f7680")}
	green, grey := charts.ColorFromHex("#569f79"), charts.ColorFromHex("#9aa1ab").WithAlpha(110)
	axis := func(top float64) charts.YAxisOption {
		return charts.YAxisOption{Min: charts.Ptr(0.0), Max: charts.Ptr(top), LabelCount: 5, LabelFontStyle: text, SplitLineShow: charts.Ptr(false),
			ValueFormatter: func(v float64) string { return number(int(v)) }}
	}
	left, right := axis(round(most)), axis(round(sum))
	left.SplitLineShow = charts.Ptr(true)
	p, err := charts.Render(charts.ChartOption{
		Width: 1000, Height: 480, Padding: charts.NewBox(16, 16, 16, 12),
		Theme: charts.MakeTheme(charts.ThemeOption{BackgroundColor: charts.ColorTransparent, TextColor: text.FontColor, AxisStrokeColor: grey,
			AxisSplitLineColor: grey, SeriesColors: []charts.Color{green, charts.ColorFromHex("#cc6f1c")}}),
		XAxis:  charts.XAxisOption{Labels: labels, LabelFontStyle: text},
		YAxis:  []charts.YAxisOption{left, right},
		Legend: charts.LegendOption{SeriesNames: []string{s.say("chart.new"), s.say("chart.total")}, FontStyle: text},
		SeriesList: charts.GenericSeriesList{
			{Type: charts.ChartTypeBar, Values: fresh, Name: s.say("chart.new")},
			{Type: charts.ChartTypeLine, Values: total, Name: s.say("chart.total"), YAxisIndex: 1},
		},
		LineStrokeWidth: 4,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot draw the chart: %w", err)
	}
	return p.Bytes()
}

// round is the next number above n that four steps divide evenly.
func round(n float64) float64 {
	step := 1.0
	for {
		for _, m := range []float64{1, 2, 2.5, 5} {
			if s := m * step; s >= 1 && s*4 >= n && (m != 2.5 || step >= 10) {
				return s * 4
			}
		}
		step *= 10
	}
}
