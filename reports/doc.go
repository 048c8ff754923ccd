// Package reports tells the education bureau how many took part: on every
// working day, once, with numbers that do not change afterwards.
//
// The path of one report:
//
//	plan       is the day a report day? [Calendar] knows the statutory holidays and
//	           the weekends that are worked for them (調休); a year that it has no
//	           data for is [ErrNoCalendar], never a guess from the weekday
//	build      numbers of a region and day from rollups and roster: a [Report]
//	freeze     the numbers go into the archive before the first mail leaves; all
//	           that is shown, mailed or filed later is made from them
//	write      the same Report as HTML, text, workbook, CSV and JSON
//	send       one delivery for each recipient, with its own record, its own
//	           retries and the mail server's own words ([Sender])
//
// [Scheduler] does this when it is time. It asks which report days are due and
// have not been delivered, never which timer has fired: an hour that was missed
// is made up for, and a second process finds nothing left to do.
package reports
