# Needs Go (the version in go.mod), and gcc for signatures in C; with CGO_ENABLED=0 all but race goes without gcc, more slowly.

SEEDS ?= 1000

.DEFAULT_GOAL := help
.PHONY: help run clean test newcomer race lint interop sim bench generate

help: ## list these targets
	@awk -F ': ## ' '/^[a-z]+: ## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## build all and play with a small network, in ./.stormcell, until Ctrl-C
	@echo "Building the node and btcd. The first time takes minutes; packages done so far:"
	@go build -v -o bin/stormcell ./cmd/node
	@cd tests/interop && go build -v -o ../../bin/btcd github.com/btcsuite/btcd
	@bin/stormcell playground

clean: ## remove what was built and the playground
	rm -rf bin .stormcell

test: ## lint and run every test that needs no lnd and no bitcoind
	@$(MAKE) --no-print-directory lint
	go test ./...
	CGO_ENABLED=0 go test ./chain/curve ./chain/keys ./chain/bolt3

newcomer: ## clone the last commit into an empty folder and do there what README says, test included, with an empty cache
	NEWCOMER=1 go test ./tests/newcomer -count=1 -v -timeout 60m

race: ## run the tests of the kernel and the journal under the race detector
	go test -race ./actors/durable/... ./persistence/...

lint: ## check format, vet and staticcheck
	@unformatted=$$(gofmt -l .) && if [ -n "$$unformatted" ]; then \
		echo "run gofmt -w on:"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...

interop: ## run the tests against other programs, which are built from their Go modules
	@echo "The first time this builds btcd and lnd, which takes about ten minutes."
	cd tests/interop && go vet ./... && go test ./... -count=1 -timeout 40m

sim: ## simulate SEEDS=1000 seeds, from FIRST=0 on; a failure prints the command that replays it
	SEEDS=$(SEEDS) go test ./tests/sim -run '^Test(Sim|Peers|Channels|Payments|Mesh|Coins|Invoices)$$' -count=1 -v -timeout 60m

bench: ## measure the journal, the kernel and a channel beside the bare libraries, then payments beside lnd (BENCH="-d 2s" for less)
	go run ./tests/bench
	@echo "The first time this builds btcd and lnd, which takes about ten minutes."
	cd tests/interop && go run ./bench $(BENCH)

generate: ## generate Go from every .proto file, with the tools pinned in messages/tools.mod
	@echo "The first time this builds buf, which takes a few minutes."
	go tool -modfile=messages/tools.mod buf generate
