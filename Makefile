# Sheratan. `make build` makes bin/sheratan, `make demo` shows what it does, `make test` says whether it does it right.

GO          ?= go
BIN         := bin/sheratan
CASES       ?= ../shared/cases/gates
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

.DEFAULT_GOAL := build
.PHONY: build test test-long check criteria secrets markers mutate aimock bench demo man clean

## build: the static binary bin/sheratan
build:
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w" -o $(BIN) ./cmd/sheratan

## test: all tests, in less than fifteen minutes on two cores; those that measure time have the machine for themselves
test:
	$(GO) test -timeout 15m $$($(GO) list ./... | grep -v '/internal/stress$$')
	$(GO) test -timeout 15m ./cmd/sheratan/internal/stress

## test-long: the same, with the long crash and load tests
test-long:
	SHERATAN_LONG=1 $(GO) test -timeout 60m ./...

## check: form, vet, staticcheck, the tests under the race detector, known vulnerabilities
check:
	@files=$$(gofmt -l .); if [ -n "$$files" ]; then echo "gofmt:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	CGO_ENABLED=1 $(GO) test -race -timeout 45m ./...
	@scripts/govulncheck.sh "$(GO)" "$(GOVULNCHECK)"

## criteria: the ten promises that Sheratan was planned with, one line each
criteria:
	@scripts/criteria.sh "$(GO)"

## secrets: how many credentials are found, by family, how many look-alikes are taken for one, and the same of other projects' samples
secrets:
	$(GO) test ./gates/secrets -run TestSecrets -count=1 -v
	$(GO) run ./scripts/secretsuites $(if $(wildcard $(CASES)),-cases $(CASES))

## markers: how many of the texts that want more than they may are noticed, and how many comments of Go's library and of all modules that are here
## are taken for one; BENIGN names more folders, separated by colons
markers:
	SHERATAN_MARKERS=all SHERATAN_BENIGN=$$($(GO) env GOMODCACHE):$(BENIGN) $(GO) test ./gates/policy -run TestMarkers -count=1 -v

## aimock: second opinions over HTTP from a server written by others, which npm installs for the test
aimock:
	SHERATAN_AIMOCK=1 $(GO) test ./cmd/sheratan -run TestAimock -count=1 -v

## mutate: takes hand-picked checks and syncs out, one at a time, and says which test notices
mutate:
	$(GO) run ./scripts/mutate

## bench: the measurements of docs/BENCHMARKS.md, side by side and as ratios
bench:
	$(GO) run ./scripts/bench

## demo: a workspace with some thirty proposals, from the inbox to the ledger
demo: build
	$(GO) build ./pipeline/job # the standard library as the demo's jobs need it
	scripts/demo.sh

## man: the manual pages, in bin/man
man: build
	$(BIN) man bin/man

clean:
	rm -rf bin
