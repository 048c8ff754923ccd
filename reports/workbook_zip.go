package reports

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"regexp"
	"slices"

	"github.com/xuri/excelize/v2"
)

// orderedZip writes the parts of a workbook in the order of their names, and the
// list of them too: excelize writes both as a map gives them, and a report must
// have one form only.
type orderedZip struct {
	to    io.Writer
	parts map[string]*bytes.Buffer
}

func newOrderedZip(w io.Writer) excelize.ZipWriter {
	return &orderedZip{to: w, parts: make(map[string]*bytes.Buffer)}
}

func (z *orderedZip) Create(name string) (io.Writer, error) {
	b := new(bytes.Buffer)
	z.parts[name] = b
	return b, nil
}

func (z *orderedZip) AddFS(fs.FS) error { return errors.New("a workbook has no folders to add") }

func (z *orderedZip) Close() error {
	out := zip.NewWriter(z.to)
	for _, name := range slices.Sorted(maps.Keys(z.parts)) {
		part, err := out.Create(name)
		if err != nil {
			return err
		}
		content := z.parts[name].Bytes()
		if name == "[Content_Types].xml" {
			content = sortContentTypes(content)
		}
		if _, err := part.Write(content); err != nil {
			return err
		}
	}
	return out.Close()
}

var contentType = regexp.MustCompile(`<(Default|Override) [^>]*></(Default|Override)>`)

func sortContentTypes(list []byte) []byte {
	found := contentType.FindAll(list, -1)
	if len(found) == 0 {
		return list
	}
	end := bytes.Index(list, found[0])
	rest := contentType.ReplaceAll(list[end:], nil)
	slices.SortFunc(found, bytes.Compare)
	return slices.Concat(list[:end], bytes.Join(found, nil), rest)
}
