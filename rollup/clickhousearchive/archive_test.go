package clickhousearchive_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/canyu/canyu"
	"github.com/canyu/canyu/rollup/archivetest"
	"github.com/canyu/canyu/rollup/clickhousearchive"
)

// servers are the servers to test against.
func servers(t testing.TB) []string {
	t.Helper()
	list := strings.FieldsFunc(os.Getenv("CANYU_TEST_CLICKHOUSE"), func(r rune) bool { return r == ' ' || r == ',' })
	if len(list) == 0 {
		t.Fatal("set CANYU_TEST_CLICKHOUSE or run make test")
	}
	return list
}

// database is the DSN of a database of the server that nobody else has and that
// is not there yet. It is dropped in the end.
func database(t testing.TB, server string) string {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("canyu_test_%d", rand.Uint64())
	u.Path = "/" + name
	t.Cleanup(func() {
		opts, err := clickhouse.ParseDSN(server)
		if err != nil {
			t.Fatal(err)
		}
		conn, err := clickhouse.Open(opts)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.Exec(context.Background(), "DROP DATABASE IF EXISTS "+name); err != nil {
			t.Errorf("cannot drop %s: %v", name, err)
		}
	})
	return u.String()
}

func TestContract(t *testing.T) {
	t.Parallel()
	for i, server := range servers(t) {
		t.Run(fmt.Sprint("server ", i+1), func(t *testing.T) {
			t.Parallel()
			archivetest.Test(t, func(t *testing.T) archivetest.Open {
				dsn := database(t, server)
				return func(ctx context.Context) (canyu.Archive, error) { return clickhousearchive.Open(ctx, dsn) }
			})
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	f := func(dsn string) {
		t.Helper()
		a, err := clickhousearchive.Open(t.Context(), dsn)
		if err == nil {
			a.Close()
			t.Errorf("%s: opened", dsn)
		}
	}
	f("")
	f("clickhouse://127.0.0.1:1/canyu")
	f("redis://127.0.0.1/0")
}
