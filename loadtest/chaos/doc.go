// Package chaos breaks a whole canyu while clients use it, and then holds what was
// acknowledged to them against what was counted (promises 1–3).
//
//	world    real processes on free loopback ports: redis-server, clickhouse-server,
//	         several canyu serve; each restarted by a supervisor when it ends
//	         (or redis-server as a cluster, or under sentinels; or two clickhouse-server
//	         and a ZooKeeper)
//	proxy    between all of them, so that a network can be slow, mute or cut
//	disk     a file system of its own under each that keeps data: its power can be
//	         cut (what was not synced is gone) and it can be full
//	Plan     which faults happen when: a pure function of seed and options
//	client   submits, retries, double-clicks; writes down each answer in the book
//	book     what was acknowledged to whom
//	reconcile when all is whole again: book = live counts = archive = report
//
// A seed gives the same plan of faults and the same order of pupils. What meets
// what is up to the machine: a second run with a seed looks for the same thing, it
// does not replay it.
//
// Clocks: that of Redis jumps, where there is a C compiler to make it one of its
// own. canyu's cannot be skewed from outside: it is linked statically.
package chaos
