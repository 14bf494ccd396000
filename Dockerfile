# The server as one static binary, for a user without rights. docs/redis.md and compose.yaml use it.
#
#   docker build --tag bachata .
#   docker run --publish 127.0.0.1:8000:8000 --volume bachata:/data bachata \
#     serve --listen 0.0.0.0:8000 --allow-anyone-to-read-any-channel

FROM golang:1.26-alpine AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags='-s -w' -o /bachata ./cmd/bachata

# Alpine, rather than nothing at all, for the certificates that rediss:// trusts and for what asks after its health.
FROM alpine:3.22
COPY --from=build /bachata /usr/local/bin/bachata
RUN adduser -D -H -u 10001 bachata && mkdir /data && chown bachata:bachata /data
USER bachata
# A disk queue keeps its folder bachata-data here.
WORKDIR /data
VOLUME /data
EXPOSE 8000
# Red while the queue does not work, and while the server drains.
HEALTHCHECK --interval=5s --timeout=4s --start-period=15s CMD wget -q -O /dev/null http://127.0.0.1:8000/healthz
ENTRYPOINT ["bachata"]
CMD ["serve"]
