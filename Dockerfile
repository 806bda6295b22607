# One image for every process of the orchestrator; docker-compose.yml says which runs where.
FROM python:3.11.15-slim-bookworm AS build

ENV PIP_NO_CACHE_DIR=1 \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PATH=/opt/orchestrator/bin:$PATH
RUN python -m venv /opt/orchestrator
WORKDIR /build

# What we depend on changes seldom and is a layer of its own; the lock bounds what that in turn depends on.
COPY pyproject.toml requirements.lock ./
RUN python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' \
      > dependencies.txt \
    && pip install --constraint requirements.lock --requirement dependencies.txt

COPY README.md LICENSE ./
COPY orchestrator orchestrator
COPY api api
COPY workers workers
COPY config config
RUN pip install --no-deps .


FROM python:3.11.15-slim-bookworm

RUN groupadd --gid 10001 orchestrator \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent \
         --shell /usr/sbin/nologin orchestrator
COPY --from=build /opt/orchestrator /opt/orchestrator
COPY --chmod=0555 config/docker-entrypoint.sh /usr/local/bin/docker-entrypoint

ENV PATH=/opt/orchestrator/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /srv
EXPOSE 8080
ENTRYPOINT ["docker-entrypoint"]
CMD ["orchestrator", "api"]
