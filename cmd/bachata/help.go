package main

import (
	"fmt"
	"io"
	"strings"
)

const usage = `Bachata delivers chat messages: what it has accepted is stored, delivered in
order, confirmed by the receiver and reported back to the sender.

Usage:
  bachata serve [options]        run the server, with a chat page to try it
  bachata disk check DIR         look for damage in the folder of a disk queue
  bachata disk salvage DIR NEW   copy what is good of it into another folder
  bachata version                print the version
  bachata help [COMMAND]         print this, or more on serve or disk

To try it: run "bachata serve" and open the page that it names in two browsers.
`

const helpWidth = 78

// writeServeHelp prints the options of `bachata serve`, in groups, with their defaults.
func writeServeHelp(w io.Writer) {
	fmt.Fprint(w, `Usage: bachata serve [options]

Run the server: a WebSocket at /messages, a chat page at /, and a health check
at /healthz.

Examples:
  bachata serve
  bachata serve --queue memory: --max-message 1MiB
  bachata serve --queue redis://10.0.0.1:6379
  bachata serve --listen 0.0.0.0:8000 --jwt-secret-file /etc/bachata/secret
`)
	for _, s := range serveSections() {
		fmt.Fprintf(w, "\n%s\n", s.title)
		for _, line := range wrap(s.note, helpWidth-2) {
			fmt.Fprintln(w, "  "+line)
		}
		for _, p := range s.options {
			head := "  " + p.source()
			if p.arg != "" {
				head += p.separator() + p.arg
			}
			fmt.Fprintln(w, head)
			text := p.help
			if p.def != "" {
				text += " Default: " + p.def + "."
			}
			for _, line := range wrap(text, helpWidth-6) {
				fmt.Fprintln(w, "      "+line)
			}
		}
	}
	fmt.Fprint(w, "\n"+strings.Join(wrap("Each option can also be set by a variable, "+envPrefix+"LISTEN for --listen, "+
		envPrefix+"MAX_MESSAGE for --max-message; the option wins. Sizes: 65536, 64KiB (1,024), 10MB (1,000). Durations: 90s, 15m, 1h, 30d.",
		helpWidth), "\n")+"\n")
}

// wrap breaks text into lines of at most width bytes where words allow it.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len(line)+1+len(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	if line == "" {
		return lines
	}
	return append(lines, line)
}

// didYouMean names the option that is nearest to what was typed, if one is near.
func didYouMean(name string, all []option) string {
	best, bestDistance := "", 3
	for _, p := range all {
		if p.variable {
			continue
		}
		if d := distance(name, p.name); d < bestDistance {
			best, bestDistance = p.name, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(": did you mean --%s?", best)
}

// distance counts the letters to insert, drop or change to make b of a.
func distance(a, b string) int {
	// What a person mistypes is short; the work is bounded whatever comes.
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := left
			if a[i] != b[j] {
				cost++
			}
			left = row[j+1]
			row[j+1] = min(cost, left+1, row[j]+1)
		}
	}
	return row[len(b)]
}
