# Everything that a laptop and CI do. The only place where versions of tools stand.
GOLANGCI_LINT := v2.15.0
GOVULNCHECK := v1.9.0
CYCLONEDX_GOMOD := v1.10.0
FUZZTIME ?= 1m
ARGS ?=

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# What a bare machine has to wait for, deps and check, goes on at once.
MAKEFLAGS += --jobs=2

linter := bin/golangci-lint-$(GOLANGCI_LINT)
auditor := bin/govulncheck-$(GOVULNCHECK)
lister := bin/cyclonedx-gomod-$(CYCLONEDX_GOMOD)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## everything on this machine with a sample activity; prints its address
	go run ./cmd/canyu demo $(ARGS)

.PHONY: build
build: ## bin/canyu, one static file
	CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o bin/canyu ./cmd/canyu

# Six tests of a package at once: they wait for disks and servers more than they compute.
# What they write stays in memory where there is plenty: they sync all the time, and a
# test that kills a server should not wait for the disk of the next.
.PHONY: test
test: deps check ## format, vet, lint, then every test, against servers of its own
	@[[ $$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1) -lt 10000000 ]] || export TMPDIR=/dev/shm; set -x; \
	deploy/testservers.sh go test -race -shuffle=on -parallel 6 -timeout 14m ./...

.PHONY: check
check: lint validate ## format, vet, lint

.PHONY: lint
lint: $(linter)
	@unformatted=$$(gofmt -l .); [[ -z $$unformatted ]] || { echo "gofmt would change: $$unformatted" >&2; exit 1; }
	go vet ./...
	$(linter) run ./...

.PHONY: validate
validate: # and builds what the test of deploy/ runs
	go vet -C deploy/validate .

.PHONY: release
release: ## bin/release: archives for linux/amd64 and arm64, and their sums
	@deploy/release.sh bin/release

.PHONY: reproducible
reproducible: ## builds the release twice, the second time from nothing, and compares
	@deploy/release.sh --twice

# Known vulnerabilities in what the program calls, by the Go project's database or a copy
# of it: make audit VULNDB=file:///srv/vulndb where the network is closed.
VULNDB ?= https://vuln.go.dev

.PHONY: audit
audit: $(auditor) ## known vulnerabilities, and the licence of every dependency
	$(auditor) -db $(VULNDB) -show version ./...
	go test -count=1 -run '^TestDependencies$$' .

.PHONY: sbom
sbom: $(lister) ## bin/canyu.cdx.json: what the program is made of, as CycloneDX
	@mkdir -p bin
	CGO_ENABLED=0 $(lister) app -json -licenses -std -main cmd/canyu -output bin/canyu.cdx.json .

.PHONY: licences
licences: ## bin/licences.txt: the texts that go with the program
	@mkdir -p bin
	@go list -deps -f '{{with .Module}}{{if .Version}}{{.Path}} {{.Dir}}{{end}}{{end}}' ./cmd/canyu | sort -u | while read -r module dir; do \
	  printf '\n===== %s\n\n' "$$module"; \
	  find "$$dir" -maxdepth 1 -type f \( -iname 'licen[sc]e*' -o -iname 'copying*' -o -iname 'notice*' \) -exec cat {} +; \
	  [[ ! -e $$dir/licenses/ftl.txt ]] || cat "$$dir/licenses/ftl.txt"; \
	done >bin/licences.txt
	@printf '\n===== Go\n\n' >>bin/licences.txt; cat "$$(go env GOROOT)/LICENSE" reports/font/OFL.txt reports/calendar/LICENSE.chinese-days >>bin/licences.txt
	@echo "bin/licences.txt: $$(grep -c '^=====' bin/licences.txt) licences"

# Tools are built from source at their first use; Go's checksum database vouches for it.
$(auditor) $(lister):
	@GOBIN=$(CURDIR)/bin CGO_ENABLED=0 go install -trimpath $(if $(findstring govulncheck,$@),golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK),github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@$(CYCLONEDX_GOMOD))
	@mv bin/$(if $(findstring govulncheck,$@),govulncheck,cyclonedx-gomod) $@

# Built from source at its first use, which takes a minute or two.
$(linter):
	@echo "building golangci-lint $(GOLANGCI_LINT), once"
	@GOBIN=$(CURDIR)/bin CGO_ENABLED=0 go install -trimpath github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	@mv bin/golangci-lint $@

.PHONY: deps
deps: ## installs what the tests need and this machine lacks (Debian, root or sudo)
	@deploy/testdeps.sh

.PHONY: bench
bench: ## every number that canyu is to reach, beside its baseline: 40 minutes of a quiet machine
	deploy/testservers.sh go run ./cmd/canyu loadtest goals $(ARGS)

.PHONY: chaos
chaos: ## kills and other faults under load for 20 minutes, then every number reconciled
	go run ./cmd/canyu loadtest chaos --pair distributed --kills 200 --duration 13m --rate 3000 $(ARGS)
	go run ./cmd/canyu loadtest chaos --pair embedded --kills 60 --duration 4m --rate 3000 $(ARGS)

.PHONY: fuzz fuzz-each
fuzz: ## each fuzz test for FUZZTIME (1m)
	deploy/testservers.sh $(MAKE) --no-print-directory fuzz-each

fuzz-each:
	@grep -roE '^func Fuzz[A-Za-z0-9]+' --include='*_test.go' . | sort | sed 's/:func / /' | while read -r file name; do \
	  (set -x; go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) "$$(dirname "$$file")"); \
	done

.PHONY: clean
clean: ## removes what was built
	rm -rf bin
