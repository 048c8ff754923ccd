package ingest

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// A workbook is a stranger's file, and a small one may unpack to gigabytes. So it is
// read tag by tag, and nothing of it is kept but the texts that its cells share:
// styles, drawings and all the rest are never opened.

// Limits of a workbook. That of a large province has some 100 MB when it is unpacked.
const (
	maxWorkbookParts = 4096
	maxWorkbookBytes = 512 << 20 // unpacked, of what is read
	maxSharedTexts   = 2_000_000
	maxSharedBytes   = 64 << 20
	maxTag           = 256 << 10 // or text between two; a cell holds 32,767 characters
	maxCellText      = 4 << 10   // kept of it
	maxSheetRows     = 1 << 20
)

type workbook struct {
	parts  map[string]*zip.File // by name, in small letters
	sheets []sheet
	texts  []string // that cells share
}

type sheet struct{ name, part string }

// readWorkbook reads the one sheet of a workbook that has anything in it. A
// roster spread over several is refused: half a denominator is worse than none.
func readWorkbook(data []byte) (tableRows, error) {
	book, err := openWorkbook(data)
	if err != nil {
		return nil, fmt.Errorf("the workbook cannot be opened: %w", err)
	}
	var filled []string
	var table sheet
	for _, s := range book.sheets {
		for _, err := range book.rows(s) {
			if err != nil {
				return nil, err
			}
			table, filled = s, append(filled, quoteCell(s.name))
			break
		}
	}
	if len(filled) > 1 {
		return nil, fmt.Errorf("the sheets %s all have something in them: put the roster on one and remove the others", strings.Join(filled, ", "))
	}
	return book.rows(table), nil
}

func openWorkbook(data []byte) (*workbook, error) {
	if n := bytes.Count(data, []byte("PK\x01\x02")); n > maxWorkbookParts { // an entry of its directory each
		return nil, fmt.Errorf("it has %d parts", n)
	}
	z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	b := &workbook{parts: make(map[string]*zip.File)}
	for _, f := range z.File {
		b.parts[strings.ToLower(strings.ReplaceAll(f.Name, "\\", "/"))] = f
	}
	targets := make(map[string]string)
	err = b.tags("xl/_rels/workbook.xml.rels", func(t xml.StartElement) {
		if t.Name.Local == "Relationship" && strings.HasSuffix(attribute(t, "Type"), "/worksheet") {
			target := attribute(t, "Target")
			if !strings.HasPrefix(target, "/") {
				target = "/xl/" + target
			}
			targets[attribute(t, "Id")] = strings.ToLower(path.Clean(target)[1:])
		}
	})
	if err != nil {
		return nil, err
	}
	err = b.tags("xl/workbook.xml", func(t xml.StartElement) {
		if part := targets[attribute(t, "id")]; t.Name.Local == "sheet" && part != "" {
			b.sheets = append(b.sheets, sheet{attribute(t, "name"), part})
		}
	})
	if err != nil {
		return nil, err
	}
	unpacked := uint64(0)
	for _, s := range append([]sheet{{part: sharedTexts}}, b.sheets...) {
		if f := b.parts[s.part]; f != nil {
			unpacked += f.UncompressedSize64 // more than it says cannot be read of it
		}
	}
	switch {
	case len(b.sheets) == 0:
		return nil, errors.New("it has no sheet")
	case unpacked > maxWorkbookBytes:
		return nil, fmt.Errorf("its unzip size is %d MiB: want at most %d", unpacked>>20, maxWorkbookBytes>>20)
	case b.parts[sharedTexts] == nil:
		return b, nil
	}
	return b, b.readTexts()
}

const sharedTexts = "xl/sharedstrings.xml"

// part is one of the XML files of a workbook while it is read.
type part struct {
	io.Closer
	in  *boundedReader
	xml *xml.Decoder
}

// boundedReader bounds what a decoder reads for one token, all of which it keeps.
type boundedReader struct {
	*bufio.Reader
	left int
}

var errLongTag = errors.New("a text or tag in it is too long")

func (r *boundedReader) ReadByte() (byte, error) {
	if r.left == 0 {
		return 0, errLongTag
	}
	r.left--
	return r.Reader.ReadByte()
}

func (b *workbook) open(name string) (*part, error) {
	f := b.parts[name]
	if f == nil {
		return nil, fmt.Errorf("it has no %s: is it an .xlsx workbook?", name)
	}
	r, err := f.Open()
	if err != nil {
		return nil, err
	}
	in := &boundedReader{Reader: bufio.NewReader(r)}
	return &part{r, in, xml.NewDecoder(in)}, nil
}

// next is the next tag or text, or io.EOF. Tags are not matched with their ends: for
// that the decoder would have to remember those that are open, and they may be many.
func (p *part) next() (xml.Token, error) {
	p.in.left = maxTag
	return p.xml.RawToken()
}

// tags has a look at every tag of a small part.
func (b *workbook) tags(name string, look func(xml.StartElement)) error {
	p, err := b.open(name)
	if err != nil {
		return err
	}
	defer p.Close()
	for n := 0; ; n++ {
		token, err := p.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		case n > 100_000:
			return fmt.Errorf("%s is too long", name)
		}
		if t, ok := token.(xml.StartElement); ok {
			look(t)
		}
	}
}

func attribute(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// cellText gathers the text of a cell from its tags. How it is spoken, which some
// have besides, is none of it.
type cellText struct {
	strings.Builder
	keep, spoken bool
}

func (c *cellText) take(token xml.Token) {
	switch t := token.(type) {
	case xml.StartElement:
		switch t.Name.Local {
		case "rPh":
			c.spoken = true
		case "t", "v":
			c.keep = !c.spoken
		}
	case xml.EndElement:
		switch t.Name.Local {
		case "rPh":
			c.spoken = false
		case "t", "v":
			c.keep = false
		}
	case xml.CharData:
		if c.keep {
			c.Write(t[:min(len(t), maxCellText-min(c.Len(), maxCellText))])
		}
	}
}

var escaped = regexp.MustCompile(`_x[0-9A-Fa-f]{4}_`)

// end is the text, and makes room for the next.
func (c *cellText) end() string {
	text := strings.ToValidUTF8(c.String(), "")
	*c = cellText{}
	if strings.Contains(text, "_x") {
		text = escaped.ReplaceAllStringFunc(text, func(s string) string {
			n, _ := strconv.ParseUint(s[2:6], 16, 16)
			return string(rune(n))
		})
	}
	return text
}

func (b *workbook) readTexts() error {
	p, err := b.open(sharedTexts)
	if err != nil {
		return err
	}
	defer p.Close()
	var text cellText
	size := 0
	for {
		token, err := p.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("its texts: %w", err)
		}
		text.take(token)
		if t, ok := token.(xml.EndElement); ok && t.Name.Local == "si" {
			b.texts = append(b.texts, text.end())
			if size += len(b.texts[len(b.texts)-1]); size > maxSharedBytes || len(b.texts) > maxSharedTexts {
				return errors.New("its texts are too many")
			}
		}
	}
}

// rows are those of a sheet that are not empty.
func (b *workbook) rows(s sheet) tableRows {
	return func(yield func(tableRow, error) bool) {
		if s.part == "" {
			return
		}
		err := b.eachRow(s.part, func(r tableRow) bool { return yield(r, nil) })
		if err != nil {
			yield(tableRow{}, fmt.Errorf("sheet %s cannot be read: %w", quoteCell(s.name), err))
		}
	}
}

func (b *workbook) eachRow(name string, yield func(tableRow) bool) error {
	p, err := b.open(name)
	if err != nil {
		return err
	}
	defer p.Close()
	var row tableRow
	var cell cellText
	kind, column := "", 0
	for {
		token, err := p.next()
		if errors.Is(err, io.EOF) {
			return errors.New("it ends too early")
		}
		if err != nil {
			return err
		}
		cell.take(token)
		switch t := token.(type) {
		case xml.StartElement:
			switch t.Name.Local {
			case "row":
				number, err := rowNumber(t, row.number)
				if err != nil {
					return err
				}
				row, column = tableRow{number: number, cells: row.cells[:0]}, 0
			case "c":
				if column, err = columnOf(attribute(t, "r"), column); err != nil {
					return err
				}
				kind, cell = attribute(t, "t"), cellText{}
			}
		case xml.EndElement:
			switch t.Name.Local {
			case "c":
				text := cell.end()
				if text != "" && kind == "s" {
					i, err := strconv.Atoi(text)
					if err != nil || i < 0 || i >= len(b.texts) {
						return fmt.Errorf("row %d has a text that is not in the workbook", row.number)
					}
					text = b.texts[i]
				}
				if strings.TrimSpace(text) == "" {
					continue
				}
				if column > maxRosterColumns {
					return fmt.Errorf("row %d has %d columns: want at most %d", row.number, column, maxRosterColumns)
				}
				for len(row.cells) < column {
					row.cells = append(row.cells, "")
				}
				row.cells[column-1] = text
			case "row":
				if len(row.cells) > 0 && !yield(row) {
					return nil
				}
			case "sheetData":
				return nil
			}
		}
	}
}

func rowNumber(t xml.StartElement, last int) (int, error) {
	number := last + 1
	if text := attribute(t, "r"); text != "" {
		var err error
		if number, err = strconv.Atoi(text); err != nil || number <= last {
			return 0, fmt.Errorf("row %s does not follow row %d", quoteCell(text), last)
		}
	}
	if number > maxSheetRows {
		return 0, errors.New("it has too many rows")
	}
	return number, nil
}

// columnOf is the number of the column of a cell such as B2, or the one behind the
// last where it does not say.
func columnOf(cell string, last int) (int, error) {
	if cell == "" {
		return last + 1, nil
	}
	column := 0
	for _, c := range strings.TrimRight(cell, "0123456789") {
		if c < 'A' || c > 'Z' || column > 1000 {
			return 0, fmt.Errorf("%s is no cell", quoteCell(cell))
		}
		column = 26*column + int(c-'A') + 1
	}
	if column == 0 || column > 1<<14 {
		return 0, fmt.Errorf("%s is no cell", quoteCell(cell))
	}
	return column, nil
}
