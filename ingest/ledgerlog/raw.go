package ledgerlog

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/canyu/canyu"
)

// Raw is an entry as the ledger has it, for one that cannot be read: what was
// decided ("<ordinals given before> <outcomes>"), a line feed, the payload.
func Raw(decided string, payload []byte) []byte {
	return append([]byte(decided+"\n"), payload...)
}

// ParseRaw reads what Raw made: a program that knows a later form of the payload
// may succeed where another did not.
func ParseRaw(raw []byte, ordinal func(n uint64) uint64) ([]canyu.Recorded, error) {
	decided, payload, _ := bytes.Cut(raw, []byte("\n"))
	n, outcomes, _ := strings.Cut(string(decided), " ")
	before, err := strconv.ParseUint(n, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("log entry: it is not known what was decided: %w", err)
	}
	return Parse(payload, before, outcomes, ordinal)
}
