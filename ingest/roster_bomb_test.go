package ingest_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"io"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/canyu/canyu/ingest"
)

// packed is a workbook of the given parts; those that it needs and that are not given
// are usual. A part may be a text, or a text that is repeated as often as said.
func packed(t testing.TB, parts map[string][]any) []byte {
	t.Helper()
	all := map[string][]any{
		"xl/workbook.xml":            {`<workbook xmlns:r="r"><sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>`},
		"xl/_rels/workbook.xml.rels": {`<Relationships><Relationship Id="rId1" Type="x/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`},
	}
	for name, content := range parts {
		all[name] = content
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for name, content := range all {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(content); i++ {
			text, times := content[i].(string), 1
			if i+1 < len(content) {
				if n, ok := content[i+1].(int); ok {
					times = n
					i++
				}
			}
			block := strings.Repeat(text, min(times, 1000))
			for ; times >= 1000; times -= 1000 {
				if _, err := io.WriteString(w, block); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := io.WriteString(w, strings.Repeat(text, times)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

const (
	sheetPart = "xl/worksheets/sheet1.xml"
	textsPart = "xl/sharedStrings.xml"
	headRow   = `<row r="1"><c r="A1" t="inlineStr"><is><t>区划代码</t></is></c><c r="B1" t="str"><v>学校标识码</v></c><c r="C1" t="inlineStr"><is><t>学校名称</t></is></c>` +
		`<c r="D1" t="inlineStr"><is><r><t>年</t></r><rPh><t>ignored</t></rPh><r><t>级</t></r></is></c><c r="E1" t="inlineStr"><is><t>班级</t></is></c><c r="F1" t="inlineStr"><is><t>人数</t></is></c></row>`
	classRow = `<row><c><v>341802</v></c><c><v>3418020001</v></c><c t="inlineStr"><is><t>a</t></is></c><c><v>3</v></c><c><v>1</v></c><c><v>46</v></c></row>`
	begin    = `<worksheet><sheetData>`
	end      = `</sheetData></worksheet>`
)

// Small files that unpack to much, or say that they do: each is refused, in little
// memory.
func TestRosterBombs(t *testing.T) {
	for name, c := range map[string]struct {
		file []byte
		want string // "" for a roster
	}{
		"well":                 {packed(t, map[string][]any{sheetPart: {begin, headRow, classRow, end}}), ""},
		"cells without places": {packed(t, map[string][]any{sheetPart: {begin, headRow, `<row r="2"/>`, classRow, `<row r="9"></row>`, end}}), ""},
		"styles":               {packed(t, map[string][]any{sheetPart: {begin, headRow, classRow, end}, "xl/styles.xml": {`<styleSheet><cellXfs>`, `<xf/>`, 5_000_000, `</cellXfs></styleSheet>`}}), ""},
		"an endless row":       {packed(t, map[string][]any{sheetPart: {begin, headRow, `<row r="2">`, `<c><v>1</v></c>`, 1_000_000, `</row>`, end}}), "65 columns"},
		"one cell again":       {packed(t, map[string][]any{sheetPart: {begin, headRow, `<row r="2">`, `<c r="A2"><v>1</v></c>`, 100_000, `</row>`, end}}), "row 2"},
		"a million columns":    {packed(t, map[string][]any{sheetPart: {begin, `<row r="1"><c r="BDWGN1"><v>1</v></c></row>`, end}}), "is no cell"},
		"far right":            {packed(t, map[string][]any{sheetPart: {begin, `<row r="1"><c r="XFD1"><v>1</v></c></row>`, end}}), "16384 columns"},
		"far down":             {packed(t, map[string][]any{sheetPart: {begin, headRow, `<row r="2000000000"><c><v>1</v></c></row>`, end}}), "too many rows"},
		"empty rows":           {packed(t, map[string][]any{sheetPart: {begin, headRow, `<row/>`, 1_100_000, end}}), "too many rows"},
		"sparse":               {packed(t, map[string][]any{sheetPart: {begin, headRow, `<row r="1048576"><c r="A1048576"><v>1</v></c></row>`, end}}), "row 1048576"},
		"nested tags":          {packed(t, map[string][]any{sheetPart: {begin, `<a>`, 1_000_000, end}}), "no classes"},
		"one huge cell":        {packed(t, map[string][]any{sheetPart: {begin, `<row><c t="str"><v>`, "x", 5_000_000, `</v></c></row>`, end}}), "too long"},
		"one huge tag":         {packed(t, map[string][]any{sheetPart: {begin, `<row r="`, "1", 5_000_000, `"/>`, end}}), "too long"},
		"CDATA with tags":      {packed(t, map[string][]any{sheetPart: {begin, `<row><c t="str"><v><![CDATA[`, "<a>", 2_000_000, `]]></v></c></row>`, end}}), "too long"},
		"entities":             {packed(t, map[string][]any{sheetPart: {`<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>`, begin, `<row><c t="str"><v>&b;</v></c></row>`, end}}), "cannot be read"},
		"an outer entity":      {packed(t, map[string][]any{sheetPart: {`<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>`, begin, `<row><c t="str"><v>&a;</v></c></row>`, end}}), "cannot be read"},
		"shared texts":         {packed(t, map[string][]any{sheetPart: {begin, headRow, end}, textsPart: {`<sst>`, `<si/>`, 2_100_000, `</sst>`}}), "too many"},
		"huge shared texts":    {packed(t, map[string][]any{sheetPart: {begin, headRow, end}, textsPart: {`<sst>`, `<si><t>` + strings.Repeat("x", 4000) + `</t></si>`, 17_000, `</sst>`}}), "too many"},
		"a shared text of many": {packed(t, map[string][]any{textsPart: {`<sst><si><t>`, "区", 80_000, `</t></si></sst>`},
			sheetPart: {begin, headRow, `<row>` + strings.Repeat(`<c t="s"><v>0</v></c>`, 6) + `</row>`, 2_000, end}}), "row 2: region"},
		"a text that is not":  {packed(t, map[string][]any{sheetPart: {begin, `<row><c t="s"><v>7</v></c></row>`, end}}), "not in the workbook"},
		"rows out of order":   {packed(t, map[string][]any{sheetPart: {begin, headRow, `<row r="1"/>`, end}}), "does not follow"},
		"ends too early":      {packed(t, map[string][]any{sheetPart: {begin, headRow, classRow}}), "too early"},
		"many sheets":         {packed(t, map[string][]any{"xl/workbook.xml": {`<workbook><sheets>`, `<sheet name="x" id="rId1"/>`, 200_000, `</sheets></workbook>`}, sheetPart: {begin, end}}), "too long"},
		"no sheet":            {packed(t, map[string][]any{"xl/workbook.xml": {`<workbook/>`}}), "no sheet"},
		"a sheet outside":     {packed(t, map[string][]any{"xl/_rels/workbook.xml.rels": {`<Relationships><Relationship Id="rId1" Type="x/worksheet" Target="../../../etc/passwd"/></Relationships>`}}), "etc/passwd"},
		"a zip in a zip":      {packed(t, map[string][]any{sheetPart: {string(packed(t, nil))}}), "cannot be read"},
		"another kind of zip": {packed(t, map[string][]any{"xl/workbook.xml": {"x"}, "xl/_rels/workbook.xml.rels": {"x"}}), "no sheet"},
		"many parts":          {packed(t, manyParts(5000)), "parts"},
		"an endless line":     {bytes.Repeat([]byte(","), 30<<20), "longer than 64 KiB"},
		"an endless quote":    {[]byte("\"" + strings.Repeat("a\n", 15<<20)), "longer than 64 KiB"},
		"fields over lines":   {bytes.Repeat([]byte(",,,,,,,\"\n\""), 3<<20), "longer than 64 KiB"},
		"garbage":             {bytes.Repeat([]byte("\x81\x30\x81\x30\xfe\xfe\n"), 4<<20), "neither UTF-8 nor GB 18030"},
		"half characters":     {bytes.Repeat([]byte("\x81"), 30<<20), "longer than 64 KiB"},
	} {
		var before runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		peak := peakOf(func() {
			_, err := ingest.ReadRoster(bytes.NewReader(c.file), "upload")
			switch {
			case c.want == "" && err != nil:
				t.Errorf("%s: %v", name, err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%s: %.300v, want …%s…", name, err, c.want)
			}
		})
		if peak > before.HeapAlloc+300<<20 {
			t.Errorf("%s: %d KiB of file take %d MiB", name, len(c.file)>>10, (peak-before.HeapAlloc)>>20)
		}
	}
}

func manyParts(n int) map[string][]any {
	parts := make(map[string][]any)
	for i := range n {
		parts["x"+strconv.Itoa(i)] = []any{""}
	}
	return parts
}

// peakOf is how large the heap became while f ran.
func peakOf(f func()) (peak uint64) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		metrics.Read(heap)
		peak = max(peak, heap[0].Value.Uint64())
		select {
		case <-done:
			return peak
		case <-tick.C:
		}
	}
}
