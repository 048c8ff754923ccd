package ingest

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/simplifiedchinese"
	xunicode "golang.org/x/text/encoding/unicode"
)

// Limits of a roster file. The classes of a large province take some 10 MB.
const (
	maxRosterFile     = 32 << 20
	maxRosterUnzipped = 512 << 20 // of a workbook; its larger parts are unpacked to disk
	maxRosterColumns  = 64
	maxRosterCells    = 64 << 20 // empty ones too: a cell in column XFD costs 16,383 more
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
	return readCSV(text), nil
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
	if !bytes.ContainsRune(text, '\n') { // the line ends of Excel for Mac
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	}
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

// readWorkbook reads the one sheet of a workbook that has anything in it. A
// roster spread over several is refused: half a denominator is worse than none.
func readWorkbook(data []byte) (rows tableRows, err error) {
	// A workbook is a stranger's, and the reader of workbooks is large: what makes
	// it panic is a broken file too.
	defer func() {
		if p := recover(); p != nil {
			rows, err = nil, fmt.Errorf("the workbook is broken: %v", p)
		}
	}()
	book, err := excelize.OpenReader(bytes.NewReader(data), excelize.Options{
		RawCellValue:      true, // 3418020001, not the 3.418E+09 that is shown
		UnzipSizeLimit:    maxRosterUnzipped,
		UnzipXMLSizeLimit: 16 << 20,
	})
	if err != nil {
		return nil, fmt.Errorf("the workbook cannot be opened: %w", err)
	}
	defer func() { err = errors.Join(err, book.Close()) }()
	var table []tableRow
	var filled []string
	for _, sheet := range book.GetSheetList() {
		found, err := readSheet(book, sheet)
		if err != nil {
			return nil, fmt.Errorf("sheet %s cannot be read: %w", quoteCell(sheet), err)
		}
		if len(found) > 0 {
			table, filled = found, append(filled, quoteCell(sheet))
		}
	}
	if len(filled) > 1 {
		return nil, fmt.Errorf("the sheets %s all have something in them: put the roster on one and remove the others", strings.Join(filled, ", "))
	}
	return func(yield func(tableRow, error) bool) {
		for _, row := range table {
			if !yield(row, nil) {
				return
			}
		}
	}, nil
}

func readSheet(book *excelize.File, sheet string) (found []tableRow, err error) {
	rows, err := book.Rows(sheet)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	seen := 0
	for number := 1; rows.Next(); number++ {
		cells, err := rows.Columns()
		if err != nil {
			return nil, err
		}
		if seen += len(cells); seen > maxRosterCells {
			return nil, errors.New("it has too many cells")
		}
		for len(cells) > 0 && strings.TrimSpace(cells[len(cells)-1]) == "" {
			cells = cells[:len(cells)-1]
		}
		if len(cells) > maxRosterColumns {
			return nil, fmt.Errorf("row %d has %d columns: want at most %d", number, len(cells), maxRosterColumns)
		}
		if len(cells) > 0 {
			found = append(found, tableRow{number: number, cells: slices.Clone(cells)})
		}
	}
	return found, rows.Error()
}
