// Package ingest takes participations in over HTTP and records them in the ledger.
//
// A submission is decoded from the request ([decoder]), checked against the
// activity and the roster (canyu.Submission.Validate), and becomes a participation
// when its participant is derived ([identity]). It joins the batch that is filling
// ([committer]); while one batch is being recorded the next one fills, so batches
// grow with the load and no timer is needed. The reply is written when the batch is
// durable: there is no buffer behind an acknowledgement.
//
// Server also serves what a page needs: the activity, live counts, the student page
// itself. Replay takes the same path with the submissions of a file, each at its
// own time.
package ingest
