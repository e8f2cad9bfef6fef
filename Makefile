# `make run` serves, `make test` tests; each is enough on a machine with Python 3.11 or newer.

VENV := .venv
PYTHON := $(VENV)/bin/python
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-strip-extras

# The production settings of docs/settings.md, which `check --deploy` checks.
PRODUCTION := ENV_FILE=/dev/null AUTH_MODE=single-user HTTPS=on ALLOWED_HOSTS=todo.example.org \
	SECRET_KEY=only-for-make-check-0123456789-abcdefghijklmnopqrstuvwxyz

# Of these, which handle errors, identity and writes, every branch is tested; the rest is the operators' commands.
WHOLE := commands/*.py,database/*.py,identity/*.py,idempotency/*.py,observability/*.py,rest/*.py,tasks/*.py,throttling/*.py,todo_project/*.py

.PHONY: help run dev test test-e2e test-faults check audit bench requirements openapi
help:
	@echo "make run           serve on http://127.0.0.1:8000"
	@echo "make dev           serve, and reload whenever a file changes"
	@echo "make test          the whole suite, on SQLite and on PostgreSQL"
	@echo "make test-e2e      the running service in a browser, and behind a real Better Auth; needs Chromium and Node 20"
	@echo "make test-faults   the promises of docs/reliability.md, with real faults; needs nginx and pgbouncer; LONG=1 for all rounds"
	@echo "make check         lint, types, settings, migrations, OpenAPI document, requirements"
	@echo "make audit         known vulnerabilities of what is installed; a part of make check"
	@echo "make bench         measure this service beside others; ROUNDS=1 OPS=get is a quick look"
	@echo "make openapi       write openapi.yaml anew"
	@echo "make requirements  write requirements/*.txt anew from the *.in; UPGRADE=1 for newer versions"

run: $(VENV)/prod staticfiles/staticfiles.json .env
	@$(PYTHON) manage.py migrate --verbosity 0
	@exec $(PYTHON) manage.py serve

dev: $(VENV)/dev
	@DEBUG=on $(PYTHON) manage.py migrate --verbosity 0
	@DEBUG=on exec $(PYTHON) manage.py runserver $${HOST:-127.0.0.1}:$${PORT:-8000}

test: $(VENV)/dev
	$(PYTHON) -m pytest --cov --cov-report= --database=sqlite
	$(PYTHON) -m pytest --cov --cov-report= --cov-append --database=postgresql
	$(PYTHON) -m coverage report --fail-under=98
	$(PYTHON) -m coverage report --fail-under=100 --include='$(WHOLE)'

# Without Chromium or Node the tests skip themselves, and say so.
test-e2e: $(VENV)/e2e staticfiles/staticfiles.json $(if $(shell command -v npm),e2e/node_modules/.package-lock.json)
	$(PYTHON) -m pytest e2e --database=sqlite
	$(PYTHON) -m pytest e2e --database=postgresql

# Without nginx or pgbouncer their scenarios skip themselves, and say so.
test-faults: $(VENV)/dev staticfiles/staticfiles.json
	LONG=$(LONG) $(PYTHON) -m pytest resilience --database=sqlite --show-capture=no --durations=10 $(ONLY)

e2e/node_modules/.package-lock.json: e2e/package-lock.json
	cd e2e && npm ci --no-audit --no-fund
	@touch $@

check: $(VENV)/dev audit
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PRODUCTION) $(PYTHON) -m mypy commands database identity idempotency observability rest tasks throttling todo_project
	$(PRODUCTION) $(PYTHON) manage.py check --deploy --fail-level WARNING
	$(PRODUCTION) $(PYTHON) manage.py makemigrations --check --dry-run
	$(PYTHON) -m pytest --quiet --database=postgresql commands/tests/test_migrate.py -k "no_migration or linter"
	$(PRODUCTION) $(PYTHON) manage.py spectacular --validate --fail-on-warn | diff openapi.yaml -
	@for name in base prod dev bench e2e; do \
		cp requirements/$$name.txt $(VENV)/$$name.txt && \
		$(COMPILE) requirements/$$name.in --output-file $(VENV)/$$name.txt > /dev/null && \
		diff requirements/$$name.txt $(VENV)/$$name.txt || exit 1; \
	done

# pip-audit runs in an environment of its own, since its dependencies are none of the service's.
audit: $(VENV)/dev
	@if $(PYTHON) -c "import socket; socket.create_connection(('api.osv.dev', 443), 5)" 2> /dev/null; then \
		$(VENV)/bin/uv tool run pip-audit==2.10.1 --vulnerability-service osv --disable-pip --requirement requirements/prod.txt; \
	else \
		echo "NOT AUDITED for known vulnerabilities: api.osv.dev cannot be reached"; \
	fi

bench: $(VENV)/bench staticfiles/staticfiles.json
	@$(PYTHON) -m benchmarks.compare $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(OPS),--ops $(OPS)) \
		$(if $(PEERS),--peers $(PEERS)) $(if $(SIZES),--sizes $(SIZES)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(PART),--part $(PART))

openapi: $(VENV)/dev
	$(PRODUCTION) $(PYTHON) manage.py spectacular --validate --fail-on-warn --file openapi.yaml

requirements: $(VENV)/dev
	for name in base prod dev bench e2e; do \
		$(COMPILE) $(if $(UPGRADE),--upgrade) requirements/$$name.in --output-file requirements/$$name.txt > /dev/null || exit 1; \
	done

# The first run makes itself a secret key.
.env: | $(VENV)/prod
	@key=$$($(PYTHON) -c "import secrets; print(secrets.token_urlsafe(50))") && \
		(umask 077 && sed "s/^#SECRET_KEY=$$/SECRET_KEY=$$key/" .env.example > $@)

$(VENV)/bin/python:
	@python3 -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed")'
	python3 -m venv $(VENV)

# A stamp file for each set of requirements, so that the second time is instant.
$(VENV)/prod $(VENV)/dev $(VENV)/bench $(VENV)/e2e: $(VENV)/%: requirements/%.txt | $(VENV)/bin/python
	@if command -v uv > /dev/null; then \
		uv pip install --quiet --python $(PYTHON) --require-hashes --requirement $<; \
	else \
		$(PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<; \
	fi
	@touch $@

staticfiles/staticfiles.json: $(VENV)/prod $(wildcard todo_project/static/todo_project/*)
	@ENV_FILE=/dev/null DEBUG=on $(PYTHON) manage.py collectstatic --no-input --verbosity 0
	@touch $@
