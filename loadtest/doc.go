// Package loadtest asks of a running server what the notice asks of it: that a
// whole county submits at the lesson bell and that every acknowledged
// participation is counted, once.
//
// It is made of parts that know nothing of each other:
//
//	Schedule  when request n is meant to start: a pure function of n
//	Source    what request n says: a pure function of n and a seed
//	Run       sends them over a bounded number of connections and times them
//	Counts    what the server says it counted, before and after
//
// A named Scenario is a choice of these. The commands that measure (bench, latency,
// growth, national) start their servers themselves, in a stand: a folder, a roster,
// canyu as a process of its own, Redis and PostgreSQL where they are needed. What they
// found is in RESULTS.md, and what follows from it for a county or a province in
// CAPACITY.md.
//
// The model is open: pupils press the button when the bell rings, not when the
// server has answered somebody else. So a latency counts from the intended start
// of the request. A server that stalls for a second delays every request that was
// due in that second, and each of them is in the percentiles (a load generator
// that waits for its turn would report one slow request: coordinated omission).
//
// Load is only sent to this machine unless the caller says otherwise.
package loadtest
