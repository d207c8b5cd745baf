# Images of the worker, the starter and the sample service of
# docker-compose.yml. The DuckDB driver is a C++ library built for glibc, so
# that the last stages are Debian, not Alpine or an empty image. They run as a
# user without rights (10001), with a root file system that is read-only.

FROM golang:1.26.11-bookworm AS build
WORKDIR /src
# The workspace would pull the requirements of the standalone module in.
ENV GOWORK=off CGO_ENABLED=1
COPY go.mod go.sum ./
RUN go mod download
COPY internal internal
COPY activities activities
COPY workflows workflows
COPY worker worker
COPY starter starter
# What the programs and the labels say of themselves: 0.1.0, and the commit.
ARG VERSION=devel
ARG REVISION=
RUN go build -trimpath -ldflags="-s -w -X canvasback/internal/version.release=${VERSION} -X canvasback/internal/version.revision=${REVISION}" -o /out/ ./worker ./starter

FROM debian:12.12-slim AS base
ARG VERSION=devel
ARG REVISION=
LABEL org.opencontainers.image.title="Canvasback" \
      org.opencontainers.image.description="Hot, consistent, verified backups of live DuckDB files" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libstdc++6 \
 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 canvasback \
 && useradd --uid 10001 --gid canvasback --no-create-home --home-dir /tmp canvasback \
 && install -d -o canvasback -g canvasback /data /backups
# A number, so that Kubernetes can tell that it is not root.
USER 10001:10001
WORKDIR /tmp

FROM base AS worker
COPY --from=build /out/worker /usr/local/bin/worker
# For lists, checks and restores beside the backups, and for backups by hand.
COPY --from=build /out/starter /usr/local/bin/starter
# Where the worker answers, unless its flags or its configuration say otherwise,
# and where it is asked. It is healthy while it waits for Temporal.
ENV CANVASBACK_METRICS_ADDRESS=127.0.0.1:9464
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s --retries=3 CMD ["/usr/local/bin/worker", "healthcheck"]
ENTRYPOINT ["/usr/local/bin/worker"]

FROM base AS starter
COPY --from=build /out/starter /usr/local/bin/starter
ENTRYPOINT ["/usr/local/bin/starter"]

# A service that holds a DuckDB file open and writes it all the time.
FROM node:22.21.1-bookworm-slim AS sample
WORKDIR /srv
COPY examples/node-service/package.json examples/node-service/package-lock.json ./
RUN npm ci --omit=dev
COPY examples/node-service/ ./
COPY examples/node-hook/ /node-hook/
RUN groupadd --gid 10001 canvasback \
 && useradd --uid 10001 --gid canvasback --no-create-home --home-dir /tmp canvasback \
 && install -d -o canvasback -g canvasback /data
USER 10001:10001
ENTRYPOINT ["node", "service.mjs"]
