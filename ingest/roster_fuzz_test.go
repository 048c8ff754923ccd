package ingest_test

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"fmt"
	"os"
	"reflect"
	"testing"

	"github.com/canyu/canyu/ingest"
)

// zipBomb is a workbook whose one sheet says that it is 600 MB long.
func zipBomb(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, text := range map[string]string{
		"xl/workbook.xml":            `<workbook><sheets><sheet name="Sheet1" id="rId1"/></sheets></workbook>`,
		"xl/_rels/workbook.xml.rels": `<Relationships><Relationship Id="rId1" Type="x/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`,
	} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	w, err := z.CreateRaw(&zip.FileHeader{
		Name: "xl/worksheets/sheet1.xml", Method: zip.Deflate, CompressedSize64: 4, UncompressedSize64: 600 << 20,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Whatever the file holds, reading it ends with a roster or an error; and a
// roster that was read, written as CSV and read again is the same.
func FuzzReadRoster(f *testing.F) {
	for _, name := range []string{"roster.csv", "roster-gb18030.csv"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[:400])
	}
	f.Add([]byte(rosterHead + "341802.0,3.418020001E9,\"第一\n小学\",初一,（二）班,４６人\n\n,,,,,\n341802,3418020001,a\"b,3,三(2)班,1"))
	f.Add([]byte("region;school;name;grade;class;enrolled\r\n341802;3418020001;\xd0\xa1\xd1\xa7;十二;三十一班;0\r\n"))
	f.Add([]byte("\xff\xfer\x00e\x00g\x00"))
	f.Add(workbook(f, [][]any{{"区划代码", "学校标识码", "学校名称", "年级", "班级", "人数"}, {341802, 3418020001, "学校", 3, 1, 46}}))
	f.Fuzz(func(t *testing.T, file []byte) {
		r, err := ingest.ReadRoster(bytes.NewReader(file), "fuzz")
		if err != nil {
			return
		}
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		w.Write([]string{"region", "school", "name", "grade", "class", "人数"})
		for _, e := range r.Entries() {
			if err := e.Validate(); err != nil {
				t.Fatal(err)
			}
			w.Write([]string{e.Region.String(), e.School.String(), e.Name, fmt.Sprint(e.Grade), fmt.Sprint(e.Class), fmt.Sprint(e.Enrolled)})
		}
		w.Flush()
		again, err := ingest.ReadRoster(bytes.NewReader(b.Bytes()), "again")
		if err != nil {
			t.Fatalf("a roster cannot be read again: %v\n%s", err, b.Bytes())
		}
		if !reflect.DeepEqual(again.Entries(), r.Entries()) {
			t.Fatalf("%+v\nbecame\n%+v", r.Entries(), again.Entries())
		}
	})
}
