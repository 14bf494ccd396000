package redis

import "testing"

// Servers that are too old are refused, and those that can tell when something is on disk are asked.
func TestVersions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		version           string
		valkey            bool
		supported, onDisk bool
	}{
		{"6.2.14", false, false, false},
		{"7.0.0", false, true, false},
		{"7.2.4", false, true, true},
		{"8.0.1", false, true, true},
		{"10.0.0", false, true, true},
		{"7.2.4", true, true, true},
		{"8.1.0", true, true, true},
		{"", false, false, false},
	} {
		l := level{version: tt.version, valkey: tt.valkey, aof: true, fsync: "always"}
		if err := l.supported(); (err == nil) != tt.supported {
			t.Errorf("%+v: %v", tt, err)
		}
		if got := l.waitAOF(); got != tt.onDisk {
			t.Errorf("%+v: waitAOF() = %v", tt, got)
		}
	}
}
