package reports

import (
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	texttemplate "text/template"
)

//go:embed report.html.tmpl
var htmlTemplate string

//go:embed report.txt.tmpl
var textTemplate string

var (
	htmlForm = template.Must(template.New("report.html").Parse(htmlTemplate))
	textForm = texttemplate.Must(texttemplate.New("report.txt").
			Funcs(texttemplate.FuncMap{"next": func(i int) int { return i + 1 }}).Parse(textTemplate))
)

// Write writes the report into dir, which is made if need be, as report.html,
// .txt, .xlsx, .csv and .json; in lang, or in the activity's own language if that is "".
func (r *Report) Write(ctx context.Context, dir, lang string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("cannot write the report: %w", err)
	}
	for _, form := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"report.json", r.JSON},
		{"report.html", func(w io.Writer) error { return r.HTML(w, lang) }},
		{"report.txt", func(w io.Writer) error { return r.Text(w, lang) }},
		{"report.csv", func(w io.Writer) error { return r.CSV(w, lang) }},
		{"report.xlsx", func(w io.Writer) error { return r.Workbook(w, lang) }},
	} {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := writeFile(filepath.Join(dir, form.name), form.write); err != nil {
			return fmt.Errorf("cannot write %s: %w", form.name, err)
		}
	}
	if !r.Signed() { // nor may one of another report stay there
		if err := os.Remove(filepath.Join(dir, signatureName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	if err := writeFile(filepath.Join(dir, signatureName), r.Signature); err != nil {
		return fmt.Errorf("cannot write %s: %w", signatureName, err)
	}
	return nil
}

const signatureName = "report.json.sig"

// Signed reports whether there is a signature of the report as it was frozen.
func (r *Report) Signed() bool { return r.signature != "" }

// Signature writes report.json.sig.
func (r *Report) Signature(w io.Writer) error {
	_, err := io.WriteString(w, r.signature)
	return err
}

func writeFile(name string, write func(io.Writer) error) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}

// JSON writes report.json: of a frozen report the very bytes that were frozen, which
// are what is signed.
func (r *Report) JSON(w io.Writer) error {
	if r.body != nil {
		_, err := w.Write(r.body)
		return err
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	return e.Encode(r)
}

// HTML writes the report as one page without anything to load.
func (r *Report) HTML(w io.Writer, lang string) error {
	chart, err := r.chart(lang)
	if err != nil || chart == nil {
		return errors.Join(err, r.html(w, lang, ""))
	}
	return r.html(w, lang, template.URL("data:image/png;base64,"+base64.StdEncoding.EncodeToString(chart)))
}

func (r *Report) html(w io.Writer, lang string, chart template.URL) error {
	v := newView(r, r.speaker(lang))
	v.Chart = chart
	return htmlForm.Execute(w, v)
}

// Text writes the report as plain text.
func (r *Report) Text(w io.Writer, lang string) error {
	return textForm.Execute(w, newView(r, r.speaker(lang)))
}
