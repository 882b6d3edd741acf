# syntax=docker/dockerfile:1

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
# With .git, from which go build takes the version.
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /firjob ./cmd/firjob
RUN mkdir /spool

# Nothing but the program (time zones are in it) and the certificates that TLS to
# Postgres, Redis and executors is checked against.
FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /firjob /firjob
# Where an executor keeps results until they are acknowledged; mount a volume.
COPY --from=build --chown=65532:65532 /spool /spool
USER 65532:65532
ENTRYPOINT ["/firjob"]
