package loadtest_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/canyu/canyu/loadtest"
)

func TestRosterSurvivesItsFile(t *testing.T) {
	t.Parallel()
	r := newRoster(t, loadtest.Synthetic{Schools: 10_003, Grades: 2, Classes: 2, Enrolled: 50})
	var file bytes.Buffer
	if err := loadtest.WriteRoster(&file, r); err != nil {
		t.Fatal(err)
	}
	if head := "区划代码,学校标识码,学校名称,年级,班级,人数\n341802,3418020001,压测第1学校,1,1,50\n"; !strings.HasPrefix(file.String(), head) {
		t.Errorf("the file begins %.120q", file.String())
	}
	again, err := loadtest.ReadRoster(&file)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(r.Entries(), again.Entries()) {
		t.Error("the roster read differs from the one written")
	}
	if n := len(r.Schools(341803)); n != 10_003-9_999 {
		t.Errorf("%d schools in the second county", n)
	}
}

func TestReadRosterRefuses(t *testing.T) {
	t.Parallel()
	f := func(text, want string) {
		t.Helper()
		if _, err := loadtest.ReadRoster(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want an error about %q", text, err, want)
		}
	}
	f("", "EOF")
	f("region,school,name,grade,class\n", "enrolled")
	f("region,school,name,grade,class,enrolled\n341802,3418020001,一小,x,1,50\n", "line 2")
	f("\ufeffregion,school,name,grade,class,enrolled\n341802,3418020001,一小,13,1,50\n", "grade 13")
	if _, err := (loadtest.Synthetic{Schools: 1, Grades: 13, Classes: 1, Enrolled: 50}).Roster(); err == nil {
		t.Error("thirteen grades are taken")
	}
	if _, err := (loadtest.Synthetic{}).Roster(); err == nil {
		t.Error("no school is taken")
	}
}
