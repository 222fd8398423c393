# `make` alone lists what there is.
PYTHON ?= python3
BIN := .venv/bin/python
# More for pytest: make test ARGS="serials -k import"
ARGS ?=
# mypy and makemigrations load the settings, which have no default for secrets.
CHECKING := ENV_FILE=/dev/null VAR_DIR=var/lint SECRET_KEY=for-checks-only \
	FIELD_KEYS=Zm9yLWNoZWNrcy1vbmx5LTMyLWJ5dGVzLWxvbmctMDA=

.PHONY: help run test lint bench chaos shot messages dev clean

help:
	@sed -n 's/^\([a-z]*\):.*## /  make \1 /p' $(MAKEFILE_LIST) | \
		awk '{ printf "  %s %-8s", $$1, $$2; $$1 = $$2 = ""; print $$0 }'

run: ## set up and start everything; Ctrl-C stops all of it
	@$(PYTHON) run.py

test: dev ## every test that needs no server; all with DATABASE_URL and REDIS_URL
	$(BIN) -m pytest -q -n auto --maxprocesses 2 --dist worksteal $(ARGS)

lint: dev ## format, lint, types, and migrations that match the models
	$(BIN) -m ruff check
	$(BIN) -m ruff format --check
	$(CHECKING) $(BIN) -m mypy .
	$(CHECKING) $(BIN) manage.py makemigrations --check --dry-run

bench: dev ## every figure in the README's table (about 20 minutes, on PostgreSQL)
	@found=; for file in benchmarks/[!_]*.py; do \
		test -e "$$file" || continue; found=1; \
		echo "== $$file"; $(BIN) "$$file" || exit 1; \
	done; test "$$found" || echo "There are no benchmarks yet."

chaos: dev ## kill everything while 10,000 messages go out (about 6 minutes); ARGS="--seed 1"
	$(BIN) -m testing.chaos $(ARGS)

shot: dev ## draw the README's screenshot and the gallery anew (about 7 minutes)
	$(BIN) -m testing.shots

messages: dev ## find the texts to translate and compile what is translated
	$(BIN) -m testing.messages $(ARGS)

clean: ## remove what can be made again; .env and the data in var/ stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache var/static var/static.stamp var/lint

dev:
	@$(PYTHON) run.py --setup requirements-dev.txt
