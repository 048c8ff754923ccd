package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/canyu/canyu"
)

func TestWallSettings(t *testing.T) {
	t.Parallel()
	read := func(wall, words string) (*settings, error) {
		t.Helper()
		dir := t.TempDir()
		list := filepath.Join(dir, "words.txt")
		path := filepath.Join(dir, "canyu.yaml")
		text := "wall_words: " + list + "\nactivities:\n" + strings.Replace(week, "%s", "qingming", 1)
		text = strings.ReplaceAll(text, "%s", "2017-04-01") + wall
		text = "outbox: " + dir + "\n" + text
		for name, content := range map[string]string{path: text, list: words} {
			if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return (&Flags{Config: path}).settings()
	}
	wallOf := func(wall, words string) *canyu.Wall {
		t.Helper()
		s, err := read(wall, words)
		if err != nil {
			t.Fatal(err)
		}
		return s.activities[0].Wall
	}
	if wallOf("", "") != nil || wallOf("    wall: off\n", "") != nil {
		t.Error("a wall that nobody asked for")
	}
	w := wallOf("    wall: on\n", "傻瓜\n")
	if w == nil || w.Reason("傻 瓜") != "word:傻瓜" || w.Reason("缅怀先烈") != "" {
		t.Errorf("on: %+v", w)
	}
	for wall, words := range map[string]string{"    wall: maybe\n": "", "    wall: on\n": "好\n…\n"} {
		if _, err := read(wall, words); err == nil || !strings.Contains(err.Error(), "wall") {
			t.Errorf("%q and %q: %v", wall, words, err)
		}
	}
}
