# make check is what a change must pass; the rest are its parts.

.PHONY: check test lint format

check: ## everything, as CI runs it
	bash .ci/run

test: ## the tests, with real stores; arguments: make test ARGS='./storage/... -run Claim'
	./scripts/test.sh $(ARGS)

lint: ## vet and the linters of .golangci.yml
	go vet ./...
	go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0 run ./...

format: ## gofmt
	gofmt -w .
