# `make run` serves and `make test` tests. Both install what they need, and Python 3.11 or newer is enough.

# PYTHON makes the virtual environment VENV. Another Python gets the environment made again.
PYTHON ?= python3
VENV ?= .venv
VENV_PYTHON := $(VENV)/bin/python
PYTEST := $(VENV_PYTHON) -m pytest
PYTEST_PARALLEL := $(PYTEST) --numprocesses=$(or $(JOBS),auto) --dist=loadfile --no-loadscope-reorder
COMPILE := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-strip-extras

# The settings for production in docs/settings.md, which `check --deploy` checks.
PRODUCTION := ENV_FILE=/dev/null AUTH_MODE=single-user HTTPS=on ALLOWED_HOSTS=todo.example.org \
	SECRET_KEY=only-for-make-check-0123456789-abcdefghijklmnopqrstuvwxyz

# Tests cover every branch of these modules, because they handle errors, identity and writes.
FULLY_COVERED := changes/*.py,commands/*.py,database/*.py,idempotency/*.py,identity/*.py,observability/*.py,rest/*.py,rest/problems/*.py,$\
	tasks/*.py,tasks/admin/*.py,tasks/api/*.py,tasks/maintenance/*.py,tasks/transfer/*.py,throttling/*.py,$\
	todo_project/*.py,todo_project/server/*.py

# Without bytecode, each Python process would compile all modules again, and the tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run dev test test-sqlite test-postgresql coverage test-e2e test-faults test-slow test-ha check audit bench requirements openapi
help:
	@echo "make run           serve on http://127.0.0.1:8000"
	@echo "make dev           serve, and reload after each change of a file"
	@echo "make test          all tests on SQLite and on PostgreSQL, in parallel; JOBS=1 for one process;"
	@echo "                   PYTHON=python3.13 VENV=.venv-3.13 for another Python"
	@echo "make coverage      the same tests, and the branches that they cover"
	@echo "make test-e2e      the service in a browser and behind a real Better Auth, apps that work offline, dates in Temporal;"
	@echo "                   needs Chromium, Node 20 and pgbouncer"
	@echo "make test-faults   the promises of docs/reliability.md under real faults; needs nginx, haproxy,"
	@echo "                   pgbouncer, prometheus, prometheus-node-exporter and root; LONG=1 for all rounds"
	@echo "make test-slow     clients that generators make from openapi.yaml, docs/deployment.md in an empty Debian, the image;"
	@echo "                   needs Node 20, Chromium, nginx, buildah, debootstrap and root"
	@echo "make test-ha       docs/high-availability.md with three PostgreSQL servers in network namespaces: the seconds of each"
	@echo "                   fault; needs etcd-server, haproxy, iproute2 and root"
	@echo "make check         lint, layers, types, settings, migrations, OpenAPI document, requirements"
	@echo "make audit         known vulnerabilities of the requirements; make check does this too"
	@echo "make bench         compare this service with others; ROUNDS=1 OPS=get for a quick look"
	@echo "make openapi       write openapi.yaml"
	@echo "make requirements  write requirements/*.txt from the *.in files; UPGRADE=1 for newer versions"

run: $(VENV)/prod staticfiles/staticfiles.json .env
	@$(VENV_PYTHON) manage.py migrate --verbosity 0
	@exec $(VENV_PYTHON) manage.py serve

dev: $(VENV)/dev
	@DEBUG=on $(VENV_PYTHON) manage.py migrate --verbosity 0
	@DEBUG=on exec $(VENV_PYTHON) manage.py runserver $${HOST:-127.0.0.1}:$${PORT:-8000}

test: test-sqlite test-postgresql

test-sqlite test-postgresql: test-%: $(VENV)/dev
	$(PYTEST_PARALLEL) --database=$*

coverage: $(VENV)/dev
	$(PYTEST_PARALLEL) --cov --cov-report= --database=sqlite
	$(PYTEST_PARALLEL) --cov --cov-report= --cov-append --database=postgresql
	$(VENV_PYTHON) -m coverage report --fail-under=98
	$(VENV_PYTHON) -m coverage report --fail-under=100 --include='$(FULLY_COVERED)'

# Without Chromium, Node or pgbouncer their tests are skipped, and pytest reports that.
test-e2e: $(VENV)/e2e staticfiles/staticfiles.json $(if $(shell command -v npm),e2e/node_modules/.package-lock.json)
	$(PYTEST) e2e --database=sqlite
	$(PYTEST) e2e --database=postgresql

# Without nginx, haproxy or pgbouncer their tests are skipped, and pytest reports that.
test-faults: $(VENV)/dev staticfiles/staticfiles.json
	LONG=$(LONG) $(PYTEST) resilience --database=sqlite --show-capture=no --durations=10 $(ONLY)

# Without Node or a program of Debian its tests are skipped, and pytest reports that.
test-slow: $(VENV)/slow staticfiles/staticfiles.json $(if $(shell command -v npm),slow/node_modules/.package-lock.json)
	$(PYTEST) slow

# Without Patroni's programs or root the tests are skipped, and pytest reports that.
test-ha: $(VENV)/ha staticfiles/staticfiles.json
	$(PYTEST) ha

%/node_modules/.package-lock.json: %/package-lock.json
	cd $* && npm ci --no-audit --no-fund
	@touch $@

# Without Node, redocly does not lint openapi.yaml.
check: $(VENV)/dev audit $(if $(shell command -v npm),slow/node_modules/.package-lock.json)
	$(VENV_PYTHON) -m ruff check
	$(VENV_PYTHON) -m ruff format --check
	$(VENV)/bin/lint-imports --no-cache --no-logo
	$(VENV_PYTHON) -m testing.check_test_names
	$(PRODUCTION) $(VENV_PYTHON) -m mypy
	$(PRODUCTION) $(VENV_PYTHON) manage.py check --deploy --fail-level WARNING
	$(PRODUCTION) $(VENV_PYTHON) manage.py makemigrations --check --dry-run
	$(PYTEST) --quiet --database=postgresql commands/tests/test_migrate.py -k linter
	$(PRODUCTION) $(VENV_PYTHON) manage.py spectacular --validate --fail-on-warn | diff openapi.yaml -
ifneq ($(shell command -v npm),)
	cd slow && REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true npx --no-install redocly lint ../openapi.yaml
else
	@echo "NOT LINTED: openapi.yaml; install Node 20"
endif
	@for name in base prod otel dev bench e2e slow ha; do \
		cp requirements/$$name.txt $(VENV)/$$name.txt && \
		$(COMPILE) requirements/$$name.in --output-file $(VENV)/$$name.txt > /dev/null && \
		diff requirements/$$name.txt $(VENV)/$$name.txt || exit 1; \
	done

# pip-audit runs in an environment of its own, because the service does not need its dependencies.
audit: $(VENV)/dev
	@if $(VENV_PYTHON) -c "import socket; socket.create_connection(('api.osv.dev', 443), 5)" 2> /dev/null; then \
		$(VENV)/bin/uv tool run pip-audit==2.10.1 --vulnerability-service osv --disable-pip --requirement requirements/prod.txt; \
	else \
		echo "NOT AUDITED for known vulnerabilities: api.osv.dev cannot be reached"; \
	fi

bench: $(VENV)/bench staticfiles/staticfiles.json
	@$(VENV_PYTHON) -m benchmarks.compare $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(OPS),--ops $(OPS)) \
		$(if $(PEERS),--peers $(PEERS)) $(if $(SIZES),--sizes $(SIZES)) $(if $(SECONDS),--seconds $(SECONDS)) \
		$(if $(PART),--part $(PART))

openapi: $(VENV)/dev
	$(PRODUCTION) $(VENV_PYTHON) manage.py spectacular --validate --fail-on-warn --file openapi.yaml

requirements: $(VENV)/dev
	for name in base prod otel dev bench e2e slow ha; do \
		$(COMPILE) $(if $(UPGRADE),--upgrade) requirements/$$name.in --output-file requirements/$$name.txt > /dev/null || exit 1; \
	done

# The first run makes a secret key.
.env: | $(VENV)/prod
	@key=$$($(VENV_PYTHON) -c "import secrets; print(secrets.token_urlsafe(50))") && \
		(umask 077 && sed "s/^#SECRET_KEY=$$/SECRET_KEY=$$key/" .env.example > $@)

# Make the environment again if its Python is gone, or if another Python made it.
PYTHON_IDENTITY = $(shell $(1) -c 'import sys; print(sys.base_prefix, sys.version)' 2> /dev/null)
ifneq ($(call PYTHON_IDENTITY,$(VENV_PYTHON)),$(call PYTHON_IDENTITY,$(PYTHON)))
.PHONY: $(VENV_PYTHON)
endif

$(VENV_PYTHON):
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed")'
	@$(PYTHON) -m venv --clear $(VENV)

# A stamp file for each set of requirements makes the second time instant.
$(VENV)/prod: INSTALLED := the service into $(VENV) (about 30 s, once)
$(VENV)/otel: INSTALLED := the service and OpenTelemetry into $(VENV) (about 30 s, once)
$(VENV)/dev: INSTALLED := the service and its test tools into $(VENV) (about 60 s, once)
$(VENV)/bench: INSTALLED := the benchmarks into $(VENV) (about 90 s, once)
$(VENV)/e2e: INSTALLED := the browser tests into $(VENV) (about 60 s, once)
$(VENV)/slow: INSTALLED := the slow tests into $(VENV) (about 60 s, once)
$(VENV)/ha: INSTALLED := the tests of a failover into $(VENV) (about 60 s, once)
$(VENV)/prod $(VENV)/otel $(VENV)/dev $(VENV)/bench $(VENV)/e2e $(VENV)/slow $(VENV)/ha: $(VENV)/%: requirements/%.txt $(VENV_PYTHON)
	@echo "Installing $(INSTALLED) …"
	@if command -v uv > /dev/null; then \
		uv pip install --quiet --python $(VENV_PYTHON) --require-hashes --requirement $<; \
	else \
		$(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $<; \
	fi
	@touch $@

staticfiles/staticfiles.json: $(VENV)/prod $(wildcard todo_project/static/todo_project/*)
	@ENV_FILE=/dev/null DEBUG=on $(VENV_PYTHON) manage.py collectstatic --no-input --verbosity 0
	@touch $@
