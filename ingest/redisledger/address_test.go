package redisledger_test

import (
	"strings"
	"testing"

	"github.com/canyu/canyu/ingest/redisledger"
)

func TestAddresses(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"redis://127.0.0.1:6379/0":                             "",
		"rediss://user:word@redis.example:6380/2":              "",
		"redis://127.0.0.1:6379/0?shards=4&replicas=1":         "",
		"unix:///run/redis.sock":                               "",
		"redis+sentinel://a/0?master_name=canyu":               "",
		"redis+sentinel://u:p@a:1/0?addr=b:2&master_name=c":    "",
		"rediss+sentinel://a?master_name=c&sentinel_password=": "",
		"redis+cluster://a:7000?addr=b:7000&shards=1024":       "",
		"rediss+cluster://u:p@a:7000/0?replicas=2":             "",

		"http://a":                                               "invalid URL scheme: http",
		"redis+ring://a":                                         "redis+ring://: want +sentinel, +cluster or neither",
		"redis+cluster://:7000":                                  "names no host",
		"redis://a/0?shards=0":                                   "shards=0: want one number from 1 to 1024",
		"redis+cluster://a?shards=1025":                          "shards=1025",
		"redis+cluster://a?shards=3&shards=4":                    "shards=3: want one number",
		"redis+cluster://a?replicas=some":                        "replicas=some: want one number from 0",
		"redis+cluster://a/1":                                    "database 0 only, and no 1",
		"redis+cluster://a?addr=b":                               "addr",
		"redis+cluster://a?colour=red":                           "unexpected option: colour",
		"redis+cluster://a?read_only=true":                       "masters only",
		"redis+sentinel://a":                                     "master_name is missing",
		"redis+sentinel://a/x?master_name=c":                     `database number: "x"`,
		"redis+sentinel://a?master_name=c&addr=b":                "addr",
		"redis+sentinel://a?master_name=c&colour=red":            "unexpected option: colour",
		"redis+sentinel://a?master_name=c&replica_only=true":     "masters only",
		"redis+sentinel://a?master_name=c&route_by_latency=true": "masters only",
	} {
		err := redisledger.CheckAddress(url)
		if want == "" && err != nil {
			t.Errorf("%s: %v", url, err)
		}
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", url, err, want)
		}
	}
}
