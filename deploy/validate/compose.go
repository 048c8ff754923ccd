package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// made by the operator, as the head of compose.yaml says.
var byHand = []string{"canyu.local.yaml", "tls"}

func (p *problems) compose(ctx context.Context, file string) {
	options, err := cli.NewProjectOptions([]string{file}, cli.WithEnv([]string{"CANYU_SECRET=secret"}), cli.WithProfiles([]string{"*"}))
	var project *types.Project
	if err == nil {
		project, err = options.LoadProject(ctx)
	}
	if err != nil {
		p.must(false, "%s: %v", file, err)
		return
	}
	for _, name := range project.ServiceNames() {
		s := project.Services[name]
		must := func(ok bool, format string, args ...any) {
			p.must(ok, "%s: service %s: %s", file, name, fmt.Sprintf(format, args...))
		}
		must(pinned.MatchString(s.Image), "image %q is not pinned", s.Image)
		must(s.User != "" && !strings.HasPrefix(s.User, "0") && s.User != "root", "user %q", s.User)
		must(s.ReadOnly, "its root may be written")
		must(s.MemLimit > 0 && s.CPUS > 0 && s.PidsLimit > 0, "has no limits")
		must(s.HealthCheck != nil && len(s.HealthCheck.Test) > 1, "has no health check")
		must(s.Restart == "unless-stopped", "is not started again")
		must(slices.Equal(s.CapDrop, []string{"ALL"}) && len(s.CapAdd) == 0 && !s.Privileged, "has capabilities")
		must(slices.Contains(s.SecurityOpt, "no-new-privileges:true"), "may gain privileges")
		for _, port := range s.Ports {
			must(name == "front" || port.HostIP == "127.0.0.1", "everybody reaches its port %d", port.Target)
		}
		for _, v := range s.Volumes {
			if v.Type != types.VolumeTypeBind {
				_, ok := project.Volumes[v.Source]
				must(ok, "no volume %q", v.Source)
				continue
			}
			must(v.ReadOnly, "%s may be written", v.Source)
			_, err := os.Stat(v.Source)
			must(err == nil || slices.ContainsFunc(byHand, func(f string) bool { return strings.HasSuffix(v.Source, "/"+f) }), "mounts %s, which is not there", v.Source)
		}
		for other, d := range s.DependsOn {
			must(d.Condition == types.ServiceConditionHealthy, "does not wait until %s is healthy", other)
		}
	}
	fmt.Printf("%s: %d services\n", file, len(project.Services))
}
