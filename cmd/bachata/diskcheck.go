package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"syscall"

	"github.com/bachata-go/bachata/disk"
)

const diskUsage = `Usage: bachata disk check DIR

Read the folder of a disk queue, without changing it, and report what it holds
and what is damaged. The server must not be running on it. Exit code: 0 if all
is as it was written, 1 if not.
`

func runDisk(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && (args[0] == "help" || args[0] == "--help" || args[0] == "-h") ||
		len(args) > 1 && (args[1] == "--help" || args[1] == "-h") {
		fmt.Fprint(stdout, diskUsage)
		return exitOK
	}
	if len(args) != 2 || args[0] != "check" {
		fmt.Fprint(stderr, diskUsage)
		return exitUsage
	}
	return diskCheck(args[1], stdout, stderr)
}

func diskCheck(dir string, stdout, stderr io.Writer) int {
	report, err := disk.Check(dir)
	switch {
	case errors.Is(err, disk.ErrLocked):
		fmt.Fprintf(stderr, "bachata: %q is in use: stop the server first\n", dir)
		return exitFailed
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		fmt.Fprintf(stderr, "bachata: there is no disk queue in %q\n", dir)
		return exitFailed
	case errors.Is(err, fs.ErrPermission):
		fmt.Fprintf(stderr, "bachata: this user may not read %q (%v)\n", dir, err)
		return exitFailed
	case err != nil:
		fmt.Fprintf(stderr, "bachata: %v\n", err)
		return exitFailed
	}
	fmt.Fprintf(stdout, "%s: files in use: %d, good records: %d, %s\n", dir, report.Segments, report.Records, approximately(report.Bytes))
	fmt.Fprintf(stdout, "waiting: %d messages, %d receipts, %d gap notices; remembered: %d ids\n",
		report.Messages, report.Receipts, report.Gaps, report.Remembered)
	if report.Torn != nil {
		fmt.Fprintf(stdout, "a write at the end was cut short: %s\nThat is what a crash leaves. Nobody was told that it is safe, and the server cuts it off.\n", report.Torn)
	}
	if len(report.Damage) > 0 {
		for _, d := range report.Damage {
			fmt.Fprintf(stdout, "DAMAGED: %s\n", d)
		}
		fmt.Fprintf(stderr, "bachata: places in %q that are not as they were written: %d\n", dir, len(report.Damage))
		return exitFailed
	}
	fmt.Fprintln(stdout, "no damage")
	return exitOK
}

// approximately writes a number of bytes for people.
func approximately(n int64) string {
	size, unit := float64(n), "B"
	for _, next := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if size < 1024 {
			break
		}
		size, unit = size/1024, next
	}
	if unit == "B" {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}
