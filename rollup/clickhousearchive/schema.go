package clickhousearchive

import (
	"fmt"
	"regexp"
)

// bySchool are the tables that grow with the participants. In a cluster a shard has
// the rows of its schools in TABLE_local, and TABLE is a Distributed table over all
// shards. Every other table is small, and every server has all of it.
var bySchool = map[string]bool{
	"participants": true, "submissions": true, "rollups": true, "refusals": true, "wall": true, "held": true, "held_decisions": true,
}

const localSuffix = "_local"

// local is the name of a table as one server has it.
func (a *Archive) local(table string) string {
	if a.cluster != nil && bySchool[table] {
		return table + localSuffix
	}
	return table
}

var createTable = regexp.MustCompile(`(?s)CREATE TABLE IF NOT EXISTS (\w+) (\(.*\)) ENGINE = (\w*MergeTree)(?:\((\w+)\))?(.*)$`)

// tables makes a migration's statement one for the cluster: the same columns and keys
// in tables that are replicated.
func (c *cluster) tables(database, statement string) []string {
	m := createTable.FindStringSubmatch(statement)
	if m == nil {
		return []string{statement}
	}
	name, columns, engine, version, keys := m[1], m[2], m[3], m[4], m[5]
	table, shard, replica := name, "all", "{shard}-{replica}"
	if bySchool[name] {
		table, shard, replica = name+localSuffix, "{shard}", "{replica}"
	}
	if version != "" {
		version = ", " + version
	}
	all := []string{fmt.Sprintf("CREATE TABLE IF NOT EXISTS `%s`.%s ON CLUSTER `%s` %s ENGINE = Replicated%s('/clickhouse/tables/%s/%s/%s', '%s'%s)%s",
		database, table, c.name, columns, engine, shard, database, name, replica, version, keys)}
	if bySchool[name] {
		all = append(all, fmt.Sprintf("CREATE TABLE IF NOT EXISTS `%s`.%s ON CLUSTER `%s` AS `%s`.%s ENGINE = Distributed('%s', '%s', '%s', intHash64(school))",
			database, name, c.name, database, table, c.name, database, table))
	}
	return all
}
