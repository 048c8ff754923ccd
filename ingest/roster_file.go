package ingest

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/encoding/simplifiedchinese"
	xunicode "golang.org/x/text/encoding/unicode"
)

// Limits of a roster file. The classes of a large province take some 10 MB.
const (
	maxRosterFile    = 32 << 20
	maxRosterRecord  = 64 << 10 // of a CSV file
	maxRosterColumns = 64
)

// tableRow is one row of a file that is not empty.
type tableRow struct {
	number int // as the spreadsheet shows it
	cells  []string
	broken string // why the row could not be read, if so
}

type tableRows = iter.Seq2[tableRow, error]

// readTable reads the only table there is in a CSV file or a workbook.
func readTable(r io.Reader) (tableRows, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxRosterFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxRosterFile:
		return nil, fmt.Errorf("the file is larger than %d MiB", maxRosterFile>>20)
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return readWorkbook(data)
	case bytes.HasPrefix(data, []byte("\xd0\xcf\x11\xe0")):
		return nil, errors.New("this is an .xls workbook, or one with a password: save it as .xlsx or .csv, without a password")
	}
	text, err := decodeText(data)
	if err != nil {
		return nil, err
	}
	if !bytes.ContainsRune(text, '\n') { // the line ends of Excel for Mac
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	}
	if line := tooLong(text); line > 0 {
		return nil, fmt.Errorf("what begins in line %d is longer than %d KiB: is a quotation mark missing?", line, maxRosterRecord>>10)
	}
	return readCSV(text), nil
}

// tooLong is the line in which a record begins that is longer than a roster's are, or
// 0. The reader of CSV would take all of it, and one of 30 MB may have 30 M fields.
func tooLong(text []byte) int {
	quoted, start, line, first := false, 0, 1, 1
	for i, c := range text {
		switch c {
		case '"':
			quoted = !quoted
		case '\n':
			if line++; !quoted {
				start, first = i+1, line
			}
		}
		if i-start > maxRosterRecord {
			return first
		}
	}
	return 0
}

// decodeText makes UTF-8 of what spreadsheets save as text. In China that is
// GB 18030 unless one asks for UTF-8.
func decodeText(data []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")):
		return xunicode.UTF16(xunicode.LittleEndian, xunicode.UseBOM).NewDecoder().Bytes(data)
	case bytes.HasPrefix(data, []byte("\ufeff")):
		data = data[len("\ufeff"):]
		if !utf8.Valid(data) {
			return nil, errors.New("the file is marked as UTF-8, but is not: save it again")
		}
		return data, nil
	case utf8.Valid(data) && (isASCII(data) || hasHan(data)):
		return data, nil
	}
	// A few words of GB 18030 are valid UTF-8 too: 小学 is «Сѧ». So UTF-8 without
	// a single Chinese character is not believed.
	text, err := simplifiedchinese.GB18030.NewDecoder().Bytes(data)
	if err != nil || bytes.ContainsRune(text, utf8.RuneError) {
		return nil, errors.New("the text is neither UTF-8 nor GB 18030")
	}
	return bytes.TrimPrefix(text, []byte("\ufeff")), nil
}

func isASCII(b []byte) bool {
	return bytes.IndexFunc(b, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}
func hasHan(b []byte) bool {
	return bytes.ContainsFunc(b, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

func readCSV(text []byte) tableRows {
	return func(yield func(tableRow, error) bool) {
		r := csv.NewReader(bytes.NewReader(text))
		r.Comma = delimiter(text)
		r.FieldsPerRecord = -1
		r.ReuseRecord = true
		// A spreadsheet shows a quoted line break inside its row and an empty line
		// as a row of its own, which the reader skips: count both by their lines.
		row, line, offset := 0, 1, int64(0)
		for {
			cells, err := r.Read()
			if err == io.EOF {
				return
			}
			var first int
			var broken *csv.ParseError
			if errors.As(err, &broken) {
				first = broken.StartLine
			} else {
				first, _ = r.FieldPos(0)
			}
			row += first - line + 1
			line += bytes.Count(text[offset:r.InputOffset()], []byte("\n"))
			offset = r.InputOffset()
			next := tableRow{number: row, cells: cells}
			if err != nil {
				next.broken = `a quotation mark is out of place: quote the whole field, and write " inside it as ""`
			}
			if (err != nil || !empty(cells)) && !yield(next, nil) {
				return
			}
		}
	}
}

// delimiter is the one that makes most headings of the first line.
func delimiter(text []byte) rune {
	head, _, _ := bytes.Cut(bytes.TrimLeft(text, "\r\n"), []byte("\n"))
	best, most := ',', 0
	for _, d := range []rune{',', '\t', ';'} {
		known := 0
		for cell := range strings.SplitSeq(string(head), string(d)) {
			if rosterColumn(strings.Trim(strings.TrimSpace(cell), `"`)) >= 0 {
				known++
			}
		}
		if known > most {
			best, most = d, known
		}
	}
	return best
}

func empty(cells []string) bool {
	for _, c := range cells {
		if strings.TrimSpace(c) != "" {
			return false
		}
	}
	return true
}
