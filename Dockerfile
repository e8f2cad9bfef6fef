# The service as an image: docs/deployment.md, "Containers".
# The base needs Python 3.11 or newer with its modules venv and pip, and the shell and useradd of Debian.
ARG BASE=python:3.13-slim

FROM ${BASE} AS requirements
# otel for traces: docs/operations.md.
ARG REQUIREMENTS=prod
WORKDIR /srv/todo
COPY requirements/${REQUIREMENTS}.txt requirements/
# The environment gets no pip, because a running service installs nothing.
RUN python3 -m venv --without-pip .venv \
    && python3 -m pip --python .venv/bin/python install --no-cache-dir --require-hashes --requirement requirements/${REQUIREMENTS}.txt

FROM requirements AS build
COPY . .
# DEBUG gives the required settings a default. Bytecode is compiled here, because the file system is read-only later.
# The service reads neither the packages' own static files nor translations.
RUN ENV_FILE=/dev/null DEBUG=on .venv/bin/python manage.py collectstatic --no-input --verbosity 0 \
    && .venv/bin/python -m compileall -q -x '\.venv' . \
    && rm -r .venv/lib/python3*/site-packages/drf_spectacular_sidecar/static requirements \
    && find .venv -name '*.[mp]o' -delete

FROM ${BASE}
ARG VERSION=unknown
# The commit, which /readyz shows too.
ARG REVISION=
LABEL org.opencontainers.image.title="To-do tasks" \
    org.opencontainers.image.description="A REST service that stores to-do tasks" \
    org.opencontainers.image.licenses="BSD-3-Clause" \
    org.opencontainers.image.version="${VERSION}" \
    org.opencontainers.image.revision="${REVISION}"
# compose.yaml mounts a volume at /etc/todo, and a new volume takes the owner of this directory.
RUN useradd --uid 10001 --user-group --no-create-home todo \
    && install -d -o todo -g todo /etc/todo
WORKDIR /srv/todo
COPY --from=build /srv/todo ./
ENV PATH="/srv/todo/.venv/bin:$PATH" PYTHONDONTWRITEBYTECODE=1 HOST=0.0.0.0 PORT=8000 BUILD="${REVISION}"
# A number, because Kubernetes cannot verify that a name is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["python", "-c", "import http.client, os, sys; probe = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); probe.request('GET', '/readyz'); sys.exit(probe.getresponse().status != 200)"]
ENTRYPOINT ["python", "manage.py"]
CMD ["serve"]
