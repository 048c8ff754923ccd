package loadtest

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
)

// chart is a line chart as SVG. Its colours are classes of the page's style sheet.
type chart struct {
	title        string
	unitX, unitY string
	logY         bool
	ticksX       []tickAt // where the x axis is not a plain number of seconds
	series       []series
}

type series struct {
	name, class  string // class: a, b, or due
	area         bool
	xs, ys       []float64
	leaveOutZero bool // a second without a value is a gap
}

type tickAt struct {
	at   float64
	text string
}

const (
	chartWidth, chartHeight = 920.0, 280.0
	plotLeft, plotRight     = 64.0, 904.0
	plotTop, plotBottom     = 14.0, 240.0
)

// niceStep is the least 1, 2 or 5 times a power of ten that divides span into at most n.
func niceStep(span float64, n int) float64 {
	step := math.Pow(10, math.Floor(math.Log10(span/float64(n))))
	for _, f := range []float64{1, 2, 5, 10} {
		if span/(step*f) <= float64(n) {
			return step * f
		}
	}
	return step * 10
}

func label(v float64) string {
	switch {
	case v >= 10_000:
		return strconv.FormatFloat(v/1000, 'f', -1, 64) + " k"
	case v != 0 && v < 0.001:
		return fmt.Sprintf("%.0e", v)
	}
	return strconv.FormatFloat(math.Round(v*1000)/1000, 'f', -1, 64)
}

// SVG draws it.
func (c *chart) SVG() template.HTML {
	minX, maxX, minY, maxY := math.Inf(1), math.Inf(-1), math.Inf(1), 0.0
	for _, s := range c.series {
		for i, y := range s.ys {
			minX, maxX = min(minX, s.xs[i]), max(maxX, s.xs[i])
			if maxY = max(maxY, y); y > 0 {
				minY = min(minY, y)
			}
		}
	}
	if maxX <= minX || maxY <= 0 {
		return template.HTML(`<p class="none">Too short for a chart.</p>`)
	}
	if c.ticksX == nil {
		minX = 0
	}
	x := func(v float64) float64 { return plotLeft + (v-minX)/(maxX-minX)*(plotRight-plotLeft) }
	var y func(float64) float64
	var ticksY []tickAt
	if c.logY {
		low, high := math.Floor(math.Log10(minY)), math.Ceil(math.Log10(maxY)+1e-9)
		if high <= low {
			high = low + 1
		}
		y = func(v float64) float64 {
			v = min(max(math.Log10(max(v, 1e-12)), low), high)
			return plotBottom - (v-low)/(high-low)*(plotBottom-plotTop)
		}
		for d := low; d <= high; d++ {
			ticksY = append(ticksY, tickAt{math.Pow(10, d), label(math.Pow(10, d))})
			for _, f := range []float64{2, 5} {
				if d < high && high-low <= 2 {
					ticksY = append(ticksY, tickAt{f * math.Pow(10, d), label(f * math.Pow(10, d))})
				}
			}
		}
	} else {
		step := niceStep(maxY, 5)
		top := math.Ceil(maxY/step) * step
		y = func(v float64) float64 { return plotBottom - v/top*(plotBottom-plotTop) }
		for v := 0.0; v <= top+step/2; v += step {
			ticksY = append(ticksY, tickAt{v, label(v)})
		}
	}
	ticksX := c.ticksX
	if ticksX == nil {
		step := max(niceStep(maxX, 10), 1)
		for v := 0.0; v <= maxX; v += step {
			ticksX = append(ticksX, tickAt{v, label(v)})
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, chartWidth, chartHeight, template.HTMLEscapeString(c.title))
	for _, t := range ticksY {
		fmt.Fprintf(&b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/><text class="tick y" x="%g" y="%.1f">%s</text>`,
			plotLeft, plotRight, y(t.at), y(t.at), plotLeft-8, y(t.at)+4, t.text)
	}
	for _, t := range ticksX {
		if t.at >= minX && t.at <= maxX {
			fmt.Fprintf(&b, `<text class="tick x" x="%.1f" y="%g">%s</text>`, x(t.at), plotBottom+20, t.text)
		}
	}
	fmt.Fprintf(&b, `<text class="tick x" x="%g" y="%g">%s</text>`, (plotLeft+plotRight)/2, chartHeight-2, c.unitX)
	for _, s := range c.series {
		line, first, last, open := s.path(x, y)
		if s.area && open {
			fmt.Fprintf(&b, `<path class="area %s" d="%sL%.1f %gL%.1f %gZ"/>`, s.class, line, last, plotBottom, first, plotBottom)
		}
		fmt.Fprintf(&b, `<path class="line %s" d="%s"/>`, s.class, line)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// path is the line, and where it begins and ends; open where there is any.
func (s *series) path(x, y func(float64) float64) (d string, first, last float64, open bool) {
	var b strings.Builder
	next := byte('M')
	for i, v := range s.ys {
		if s.leaveOutZero && v == 0 {
			next = 'M'
			continue
		}
		if last = x(s.xs[i]); !open {
			first, open = last, true
		}
		fmt.Fprintf(&b, "%c%.1f %.1f", next, last, y(v))
		next = 'L'
	}
	return b.String(), first, last, open
}

// Legend names the series that have one.
func (c *chart) Legend() []series { return c.series }

// Name and Class are for the page.
func (s series) Name() string { return s.name }

// Class is of the style sheet.
func (s series) Class() string { return s.class }

// Title and Unit are for the page.
func (c *chart) Title() string { return c.title }

// Unit is of the vertical axis.
func (c *chart) Unit() string { return c.unitY }
