module github.com/bachata-go/bachata/bench

go 1.26

require (
	github.com/bachata-go/bachata v0.0.0
	golang.org/x/sys v0.47.0
)

require (
	github.com/go-json-experiment/json v1.27.2 // indirect
	github.com/gobwas/httphead v0.1.0 // indirect
	github.com/gobwas/ws v1.5.0 // indirect
)

replace github.com/bachata-go/bachata => ../
