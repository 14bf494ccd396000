package main

import (
	"runtime"
	"runtime/debug"
)

// version describes the program from what the build wrote into it: the module's version, or the commit it was built from.
func version() string {
	text := "(development)"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return text + " " + runtime.Version()
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		text = v
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && text == "(development)" {
			text += " " + s.Value[:12]
		}
	}
	return text + " " + info.GoVersion + " " + runtime.GOOS + "/" + runtime.GOARCH
}
