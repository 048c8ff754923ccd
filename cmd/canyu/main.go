// Command canyu counts who took part in an online school activity, shows the count
// live and mails it to the education bureau every working day.
//
// main only handles signals and exit codes; run does everything else and is what
// tests call. Each subcommand is one file.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // a bare machine, and an image from scratch, have no zones

	"github.com/alecthomas/kong"

	"github.com/canyu/canyu/loadtest"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		if !errors.Is(err, errQuiet) {
			fmt.Fprintln(os.Stderr, "canyu:", err)
		}
		stop()
		os.Exit(1)
	}
}

// commands is the whole command line. What several commands share is a Settings
// flag; each also has an environment variable and a key in canyu.yaml.
type commands struct {
	Demo        demoCommand        `cmd:"" help:"Everything on one machine: sample activity and roster, nothing to install."`
	Serve       serveCommand       `cmd:"" help:"Run the server."`
	Ready       readyCommand       `cmd:"" help:"Ask the running server whether it takes submissions; exit 1 if not."`
	Check       checkCommand       `cmd:"" help:"Check all of the configuration and report every mistake at once."`
	Preflight   preflightCommand   `cmd:"" help:"Look at everything that a busy day will need; exit 1 if something will not do."`
	Replay      replayCommand      `cmd:"" help:"Record submissions from a file (NDJSON, .gz too), each at its own time."`
	Roster      rosterCommand      `cmd:"" help:"The list of classes and their enrolments."`
	Link        linkCommand        `cmd:"" help:"Signed links for classes, schools and bureaus, with a QR code."`
	Report      reportCommand      `cmd:"" help:"The reports to the bureau."`
	Verify      verifyCommand      `cmd:"" help:"Compare ledger and archive class by class; exit 1 on any difference."`
	Switch      switchCommand      `cmd:"" help:"For a peak day: turn the wall off, live views slow, or serve the page only; without restart."`
	Audit       auditCommand       `cmd:"" help:"Who did what: links, rosters, decisions, reports by hand, purges."`
	Explain     explainCommand     `cmd:"" help:"From a report's number to rollups, facts and ledger, and what is in none of them and why."`
	Deadletter  deadletterCommand  `cmd:"" help:"What the archive could not take."`
	Rebuild     rebuildCommand     `cmd:"" help:"Restore a lost ledger from the archive."`
	Purge       purgeCommand       `cmd:"" help:"Destroy what tells who took part in an activity; numbers and reports stay."`
	Participant participantCommand `cmd:"" help:"What is stored of one participant: export it, or erase it."`
	Backup      backupCommand      `cmd:"" help:"Copy everything of the embedded engines into a new folder, beside a running server."`
	Restore     restoreCommand     `cmd:"" help:"Make a data folder from a backup."`
	Loadtest    loadtest.Command   `cmd:"" help:"Load a running server and reconcile what it counted; bench and baselines."`
	Version     versionCommand     `cmd:"" help:"Print the version."`
	Help        helpCommand        `cmd:"" help:"Show this list."`
}

// errQuiet ends with exit status 1 when everything has been said already.
var errQuiet = errors.New("")

// stdout and stderr are different types, because kong binds by type.
type (
	stdout struct{ io.Writer }
	stderr struct{ io.Writer }
)

// run runs one command line. It returns instead of exiting, also for --help.
func run(ctx context.Context, args []string, out, errOut io.Writer) (err error) {
	var c commands
	exited := false
	parser, err := kong.New(&c,
		kong.Name("canyu"),
		kong.Description("Counts who took part in an online school activity (參與)."),
		kong.UsageOnError(),
		kong.Writers(out, errOut),
		kong.Exit(func(int) { exited = true }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(out, (*io.Writer)(nil)),
		kong.Bind(stdout{out}, stderr{errOut}),
	)
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"help"}
	}
	k, err := parser.Parse(args)
	if exited { // --help has been printed
		return nil
	}
	for _, flag := range exposed(args) {
		fmt.Fprintf(errOut, "warning: %s has a password in it, which every user of this machine can see: give the environment variable or a file instead\n", flag)
	}
	if err != nil {
		return spare(args, err)
	}
	return spare(args, k.Run(k))
}

type helpCommand struct{}

func (helpCommand) Run(k *kong.Context) error {
	trace, err := kong.Trace(k.Kong, nil)
	if err != nil {
		return err
	}
	return trace.PrintUsage(false)
}
