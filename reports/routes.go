package reports

import "github.com/canyu/canyu"

// reviewBody is the largest form: a hundred messages are decided upon at once.
const reviewBody = 64 << 10

const smallBody = 4 << 10

// Routes are the addresses that Pages answers; what is not here is nowhere.
var Routes = []canyu.Route{
	{Path: "/pages/{file}", Methods: "GET, HEAD", Opens: canyu.ToAll},
	{Path: "/school/{school}", Methods: "GET, HEAD, POST", Opens: canyu.ToSchool, Body: smallBody}, // POST: a receipt
	{Path: "/school/{school}/links", Methods: "GET, HEAD", Opens: canyu.ToSchool},
	{Path: "/school/{school}/classes.{kind}", Methods: "GET, HEAD", Opens: canyu.ToSchool},
	{Path: "/school/{school}/not-yet.{kind}", Methods: "GET, HEAD", Opens: canyu.ToSchool},
	{Path: "/school/{school}/messages", Methods: "GET, HEAD, POST", Opens: canyu.ToSchool, Body: reviewBody},
	{Path: "/school/{school}/held", Methods: "GET, HEAD, POST", Opens: canyu.ToSchool, Body: smallBody},
	{Path: "/bureau/{region}", Methods: "GET, HEAD", Opens: canyu.ToRegion},
	{Path: "/bureau/{region}/table.{kind}", Methods: "GET, HEAD", Opens: canyu.ToRegion},
	{Path: "/bureau/{region}/report.{kind}", Methods: "GET, HEAD", Opens: canyu.ToRegion},
	{Path: "/bureau/{region}/held", Methods: "GET, HEAD, POST", Opens: canyu.ToRegion, Body: smallBody},
	{Path: "/bureau/{region}/messages", Methods: "GET, HEAD, POST", Opens: canyu.ToRegion, Body: reviewBody},
}
