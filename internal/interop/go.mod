module github.com/bachata-go/bachata/internal/interop

go 1.26

require (
	github.com/bachata-go/bachata v0.0.0
	github.com/coder/websocket v1.8.15
	go.uber.org/goleak v1.3.0
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/gobwas/ws v1.5.0 // indirect
)

replace github.com/bachata-go/bachata => ../../
