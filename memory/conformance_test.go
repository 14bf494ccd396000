package memory_test

import (
	"testing"

	"github.com/bachata-go/bachata"
	"github.com/bachata-go/bachata/memory"
	"github.com/bachata-go/bachata/queuetest"
)

func backend() queuetest.Backend {
	return queuetest.Backend{
		Name: "memory",
		New: func(_ testing.TB, o bachata.QueueOptions) *queuetest.Store {
			return &queuetest.Store{Open: func() (queuetest.Queue, error) { return memory.New(&o), nil }}
		},
	}
}

func TestConformance(t *testing.T) { queuetest.Run(t, backend()) }
