package ledgerlog

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/canyu/canyu"
)

// Raw is an entry as the ledger has it, for one that cannot be read: what was
// decided ("<ordinals given before> <outcomes>", and " <shard>/<shards>" where there are
// several), a line feed, the payload.
func Raw(decided string, payload []byte) []byte {
	return append([]byte(decided+"\n"), payload...)
}

// ParseRaw reads what Raw made: a program that knows a later form of the payload
// may succeed where another did not.
func ParseRaw(raw []byte) ([]canyu.Recorded, error) {
	decided, payload, _ := bytes.Cut(raw, []byte("\n"))
	n, outcomes, _ := strings.Cut(string(decided), " ")
	outcomes, of, several := strings.Cut(outcomes, " ")
	shard, shards := 0, 1
	if several {
		if _, err := fmt.Sscanf(of, "%d/%d", &shard, &shards); err != nil {
			return nil, fmt.Errorf("log entry: it is not known which shard it is of: %w", err)
		}
	}
	before, err := strconv.ParseUint(n, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("log entry: it is not known what was decided: %w", err)
	}
	return Parse(payload, before, outcomes, Ordinal(shard, shards))
}
