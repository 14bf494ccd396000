# Everything that the project is built and checked with. `make test` is what has to pass.
.DEFAULT_GOAL := help
.PHONY: help run test lint cross race bench compare cover fuzz torture valkey

ARGS ?=
FUZZTIME ?= 1m
# All of the comparison but the peers, so that checking it downloads nothing of theirs.
COMPARED := . ./cycle ./internal/...
SHIPPED := . ./cmd/... ./disk ./memory ./queuetest ./redis
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

help: ## show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## start the server, with ARGS="--queue memory:" or the like
	go run ./cmd/bachata serve $(ARGS)

test: ## everything: installs what is missing, lints, tests, races, fuzzes for a short while
	@scripts/test

lint: ## gofmt, go vet, staticcheck
	@files=$$(gofmt -l $$(git ls-files '*.go')); if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi
	go vet ./...
	go run $(STATICCHECK) ./...
	cd internal/interop && go vet ./... && go run $(STATICCHECK) ./...
	cd bench && go vet $(COMPARED) && go run $(STATICCHECK) $(COMPARED)

cross: ## builds for other systems, 32-bit ones too
	GOOS=windows GOARCH=amd64 go build $(SHIPPED)
	GOOS=darwin GOARCH=arm64 go build $(SHIPPED)
	GOOS=linux GOARCH=arm go build $(SHIPPED)

race: ## all tests under the race detector
	go test -race -timeout 10m ./...
	cd internal/interop && go test -race -timeout 10m ./...

bench: ## all benchmarks
	go test -run '^$$' -bench . -benchmem -timeout 30m ./...

compare: ## our server beside the floor and a peer, in less than ten minutes; ARGS="cycle -rounds 5" for one part
	cd bench && go run . $(ARGS)

cover: ## how much of the code the tests run, in cover.out
	go test -coverprofile=cover.out -coverpkg=./... -timeout 10m ./...
	go tool cover -func=cover.out | tail -n 1

torture: ## the long runs: kills and losses of power (needs root) on disk, kills on Redis, careless clients
	go test ./internal/faults -count=1 -run TestKillRounds -rounds 200 -v -timeout 15m
	go test -tags long ./internal/faults -count=1 -run TestPowerLoss -rounds 200 -v -timeout 15m
	go test ./internal/faults -count=1 -run TestRedis -rounds 50 -v -timeout 15m
	go test ./internal/faults -count=1 -run TestRandom -rounds 200 -v -timeout 15m

valkey: ## what needs a Redis, against Valkey, which it installs on Debian; ROUNDS=50 for the long form
	@scripts/valkey

fuzz: ## every fuzz target, each for FUZZTIME (1m)
	@scripts/fuzz $(FUZZTIME)
