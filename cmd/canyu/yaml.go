package main

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

// mistake is of one field; what is the rest of its sentence.
type mistake struct{ field, what string }

func (m *mistake) Error() string { return m.field + ": " + m.what }

// isAbout reports whether an error, which begins with a field, is about this one or one
// that it is in.
func isAbout(err error, field string) bool {
	about := err.Error()
	if end := strings.IndexAny(about, " :"); end >= 0 {
		about = about[:end]
	}
	return about == field || strings.HasPrefix(field, about+".")
}

// decodeYAML reads text into the struct that into points at, key by key, so that
// one mistake does not hide the others: every unknown key and every value of a
// wrong type is told, with its path.
func decodeYAML(text []byte, into any) []error {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	for n, line := range bytes.Split(text, []byte("\n")) {
		if !utf8.Valid(line) { // the "ANSI" of a Chinese Windows, or UTF-16
			return []error{fmt.Errorf("line %d: is no UTF-8: save it as UTF-8", n+1)}
		}
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return []error{err} // no YAML at all: with line and column
	}
	return decodeStruct("", tree, reflect.ValueOf(into).Elem())
}

func decodeStruct(path string, tree map[string]any, into reflect.Value) (errs []error) {
	fields := make(map[string]reflect.Value)
	for i := range into.NumField() {
		if key := into.Type().Field(i).Tag.Get("yaml"); key != "" {
			fields[key] = into.Field(i)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		field, ok := fields[key]
		if !ok {
			errs = append(errs, &mistake{path + key, "unknown key"})
			continue
		}
		errs = append(errs, decodeValue(path+key, tree[key], field)...)
	}
	return errs
}

// textOrList is a list that may also be given as a text, its only item.
type textOrList []string

// onOff is on or off, which YAML's true and false are too.
type onOff string

func decodeValue(path string, value any, into reflect.Value) (errs []error) {
	tree, isMap := value.(map[string]any)
	list, isList := value.([]any)
	if text, ok := value.(string); ok && into.Type() == reflect.TypeFor[textOrList]() {
		list, isList = []any{text}, true
	}
	switch {
	case value == nil: // the key alone: the default stays
		return nil
	case into.Kind() == reflect.Struct && isMap:
		return decodeStruct(path+".", tree, into)
	case into.Kind() == reflect.Slice && isList:
		into.Set(reflect.MakeSlice(into.Type(), 0, len(list)))
		for i, item := range list {
			read := reflect.New(into.Type().Elem()).Elem()
			wrong := decodeValue(fmt.Sprintf("%s[%d]", path, i), item, read)
			errs = append(errs, wrong...)
			if len(wrong) == 0 || read.Kind() == reflect.Struct {
				into.Set(reflect.Append(into, read))
			}
		}
		return errs
	case into.Kind() == reflect.Map && isMap:
		into.Set(reflect.MakeMap(into.Type()))
		for _, key := range slices.Sorted(maps.Keys(tree)) {
			item := reflect.New(into.Type().Elem()).Elem()
			errs = append(errs, decodeValue(path+"."+key, tree[key], item)...)
			into.SetMapIndex(reflect.ValueOf(key), item)
		}
		return errs
	}
	v := reflect.ValueOf(value)
	switch {
	case into.Type() == reflect.TypeFor[onOff]() && v.Kind() == reflect.Bool:
		into.SetString(map[bool]string{true: "on", false: "off"}[v.Bool()])
	case into.Kind() == reflect.Bool && (value == "on" || value == "off"):
		into.SetBool(value == "on")
	case into.Kind() == reflect.String && v.Kind() == reflect.String,
		into.Kind() == reflect.Bool && v.Kind() == reflect.Bool:
		into.Set(v.Convert(into.Type()))
	case into.Kind() == reflect.Int && v.CanUint() && v.Uint() < 1<<31:
		into.SetInt(int64(v.Uint()))
	case into.Kind() == reflect.Int && v.CanInt():
		into.SetInt(v.Int())
	default:
		errs = append(errs, &mistake{path, "want " + kindName(into.Type()) + got(value, into)})
	}
	return errs
}

// got tells a value; not a number for a text, which YAML may have read as another.
func got(value any, into reflect.Value) string {
	if into.Kind() == reflect.String && into.Type() != reflect.TypeFor[onOff]() && !slices.Contains([]reflect.Kind{reflect.Map, reflect.Slice}, reflect.TypeOf(value).Kind()) {
		return ": put it in quotation marks"
	}
	text := fmt.Sprint(value)
	if s, ok := value.(string); ok {
		text = strconv.Quote(s)
	}
	if runes := []rune(text); len(runes) > 40 {
		text = string(runes[:40]) + "…"
	}
	return ", got " + text
}

func kindName(t reflect.Type) string {
	if t == reflect.TypeFor[onOff]() {
		return "on or off"
	}
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Int:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	}
	return "keys and values"
}
