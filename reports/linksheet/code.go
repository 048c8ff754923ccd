// Package linksheet draws links: as QR codes, and as the printed sheet that a school
// hangs up, with one for each class.
package linksheet

import (
	"fmt"
	"strings"

	"rsc.io/qr"
)

// Code is a QR code. A sixth of it may be dirty or torn.
type Code struct{ *qr.Code }

// Encode makes the code of a text.
func Encode(text string) (Code, error) {
	c, err := qr.Encode(text, qr.M)
	if err != nil {
		return Code{}, fmt.Errorf("cannot make a QR code: %w", err)
	}
	return Code{c}, nil
}

// quiet is the margin that a reader needs, in modules.
const quiet = 4

// SVG is the code as an image of any size, with its margin.
func (c Code) SVG() string {
	var path strings.Builder
	for y := range c.Size {
		for x := 0; x < c.Size; x++ {
			run := 0
			for c.Black(x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
				x += run
			}
		}
	}
	side := c.Size + 2*quiet
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" shape-rendering="crispEdges" role="img">`+
		`<path fill="#fff" d="M0 0h%dv%dH0z"/><path fill="#000" d="%s"/></svg>`, side, side, side, side, path.String())
}

// Terminal is the code in half blocks, white on black as well as black on white: its
// colours are set.
func (c Code) Terminal() string {
	var b strings.Builder
	for y := -quiet; y < c.Size+quiet; y += 2 {
		b.WriteString("\x1b[30;107m") // black on bright white
		for x := -quiet; x < c.Size+quiet; x++ {
			switch upper, lower := c.Black(x, y), c.Black(x, y+1); {
			case upper && lower:
				b.WriteString("█")
			case upper:
				b.WriteString("▀")
			case lower:
				b.WriteString("▄")
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String()
}
