package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/bachata-go/bachata/disk"
)

const diskUsage = `Usage:
  bachata disk check DIR         Read the folder of a disk queue, without changing
                                 it, and report what it holds and what is damaged.
                                 Exit code: 0 if all is as it was written, 1 if not.
  bachata disk salvage DIR NEW   Copy what is good of a damaged one into the folder
                                 NEW, which must not be there or be empty.

The server must not be running on DIR.
`

func runDisk(args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && (args[0] == "help" || args[0] == "--help" || args[0] == "-h") ||
		len(args) > 1 && (args[1] == "--help" || args[1] == "-h") {
		fmt.Fprint(stdout, diskUsage)
		return exitOK
	}
	switch {
	case len(args) == 2 && args[0] == "check":
		return diskCheck(args[1], stdout, stderr)
	case len(args) == 3 && args[0] == "salvage":
		return diskSalvage(args[1], args[2], stdout, stderr)
	}
	fmt.Fprintf(stderr, "bachata: %s\n\n%s", diskMistake(args), diskUsage)
	return exitUsage
}

// diskMistake says what is wrong with the arguments of "bachata disk".
func diskMistake(args []string) string {
	switch {
	case len(args) == 0:
		return "disk is missing what to do: check or salvage"
	case args[0] == "check":
		return fmt.Sprintf("disk check takes one folder, and was given %d", len(args)-1)
	case args[0] == "salvage":
		return fmt.Sprintf("disk salvage takes two folders, and was given %d", len(args)-1)
	}
	return fmt.Sprintf("disk can't %q: it can check or salvage", args[0])
}

func diskCheck(dir string, stdout, stderr io.Writer) int {
	report, err := disk.Check(dir)
	if err != nil {
		fmt.Fprintln(stderr, "bachata:", diskError(dir, err))
		return exitFailed
	}
	writeContent(stdout, dir, report)
	if report.Torn != nil {
		fmt.Fprintf(stdout, "a write at the end was cut short: %s\nThat is what a crash leaves. Nobody was told that it is safe, and the server cuts it off.\n", report.Torn)
	}
	if len(report.Damage) > 0 {
		writeDamage(stdout, report.Damage)
		fmt.Fprintf(stderr, "bachata: places in %q that are not as they were written: %d. \"bachata disk salvage %s NEW\" copies the rest into the folder NEW\n",
			dir, len(report.Damage), dir)
		return exitFailed
	}
	fmt.Fprintln(stdout, "no damage")
	return exitOK
}

func diskSalvage(dir, to string, stdout, stderr io.Writer) int {
	found, kept, err := disk.Salvage(dir, to)
	info, _ := os.Stat(to)
	switch {
	case errors.Is(err, disk.ErrNotEmpty), info != nil && !info.IsDir():
		fmt.Fprintf(stderr, "bachata: there is something in %q: choose a folder that is not there yet\n", to)
		return exitFailed
	case errors.Is(err, fs.ErrPermission):
		fmt.Fprintf(stderr, "bachata: this user may not read %q, or not write to %q (%v)\n", dir, to, err)
		return exitFailed
	case err != nil:
		fmt.Fprintln(stderr, "bachata:", diskError(dir, err))
		if info != nil {
			fmt.Fprintf(stderr, "What %q holds by now is not all of it: remove it before you try again\n", to)
		}
		return exitFailed
	}
	writeContent(stdout, to, kept)
	if len(found.Damage) == 0 {
		fmt.Fprintf(stdout, "no damage in %q: this is all of it\n", dir)
		return exitOK
	}
	writeDamage(stdout, found.Damage)
	fmt.Fprintf(stdout, `What stood there is not known. Messages that waited only there are lost; what was
confirmed there is delivered once more, under its old id. Start the server with
--queue disk:%s, and keep %s until you know what has damaged it.
`, to, dir)
	return exitOK
}

// writeContent says what is good in a queue.
func writeContent(w io.Writer, dir string, r disk.Report) {
	fmt.Fprintf(w, "%s: files in use: %d, good records: %d, %s\n", dir, r.Segments, r.Records, approximately(r.Bytes))
	fmt.Fprintf(w, "waiting: %d messages, %d receipts, %d gap notices; remembered: %d ids\n", r.Messages, r.Receipts, r.Gaps, r.Remembered)
}

func writeDamage(w io.Writer, damage []disk.Damage) {
	for _, d := range damage {
		fmt.Fprintf(w, "DAMAGED: %s\n", d)
	}
}

// diskError says of an error of the folder of a queue what to do.
func diskError(dir string, err error) error {
	switch {
	case errors.Is(err, disk.ErrLocked):
		return fmt.Errorf("%q is in use: stop the server first", dir)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("there is no disk queue in %q", dir)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("this user may not read %q (%w)", dir, err)
	}
	return err
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
