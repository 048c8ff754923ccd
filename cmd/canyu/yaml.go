package main

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
)

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
			errs = append(errs, fmt.Errorf("%s%s: unknown key", path, key))
			continue
		}
		errs = append(errs, decodeValue(path+key, tree[key], field)...)
	}
	return errs
}

// textOrList is a list that may also be given as a text, its only item.
type textOrList []string

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
		into.Set(reflect.MakeSlice(into.Type(), len(list), len(list)))
		for i, item := range list {
			errs = append(errs, decodeValue(fmt.Sprintf("%s[%d]", path, i), item, into.Index(i))...)
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
	case into.Kind() == reflect.String && v.Kind() == reflect.String,
		into.Kind() == reflect.Bool && v.Kind() == reflect.Bool:
		into.Set(v.Convert(into.Type()))
	case into.Kind() == reflect.Int && v.CanUint() && v.Uint() < 1<<31:
		into.SetInt(int64(v.Uint()))
	case into.Kind() == reflect.Int && v.CanInt():
		into.SetInt(v.Int())
	default:
		errs = append(errs, fmt.Errorf("%s: want %s, got %s", path, kindName(into.Kind()), strings.TrimSpace(fmt.Sprintf("%.40v", value))))
	}
	return errs
}

func kindName(k reflect.Kind) string {
	switch k {
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
