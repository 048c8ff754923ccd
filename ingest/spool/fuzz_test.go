package spool

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"
)

// Whatever stands in the file of a tail after a crash, reading it ends, and what was
// read is what would be written again.
func FuzzTail(f *testing.F) {
	var whole []byte
	for n := range uint64(3) {
		b := appendTaken(make([]byte, frameHead), &Taken{Epoch: "e", Kept: Kept{Writer: "w", Sequence: n, Size: 2, Payload: []byte("abcdef")}})
		binary.BigEndian.PutUint32(b[4:], 1)
		binary.BigEndian.PutUint32(b[8:], uint32(len(b)-frameHead))
		binary.BigEndian.PutUint32(b, crc32.ChecksumIEEE(b[4:]))
		whole = append(whole, b...)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)-1])
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, text []byte) {
		taken, _, end := readFrames(text)
		if end < 0 || end > int64(len(text)) {
			t.Fatalf("%q ends at %d", text, end)
		}
		for _, b := range taken {
			again, ok := parseTaken(appendTaken(nil, &b))
			if !ok || again.Epoch != b.Epoch || again.Writer != b.Writer || again.Sequence != b.Sequence || again.Size != b.Size || !bytes.Equal(again.Payload, b.Payload) {
				t.Fatalf("%+v became %+v", b, again)
			}
		}
		if b, ok := parseTaken(text); ok && (b.Size < 0 || b.Size >= len(text)) {
			t.Fatalf("%q has %d", text, b.Size)
		}
	})
}
