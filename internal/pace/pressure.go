package pace

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Machine is the file of Linux' pressure stall information that speaks of I/O of
// the whole machine. That of a control group is called io.pressure.
const Machine = "/proc/pressure/io"

// Stalled returns a function that reads, from a file of Linux' pressure stall
// information, for how long since some time in the past at least one task has
// waited. Only differences of what it returns mean anything.
func Stalled(path string) func() (time.Duration, error) {
	return func() (time.Duration, error) {
		content, err := os.ReadFile(path)
		if err != nil {
			return 0, fmt.Errorf("pressure stall information: %w", err)
		}
		return parseStalled(path, string(content))
	}
}

// parseStalled finds the total, in microseconds, of the line
//
//	some avg10=0.00 avg60=0.00 avg300=0.00 total=0
func parseStalled(path, content string) (time.Duration, error) {
	for line := range strings.Lines(content) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "some" {
			continue
		}
		for _, field := range fields[1:] {
			if text, ok := strings.CutPrefix(field, "total="); ok {
				total, err := strconv.ParseInt(text, 10, 64)
				if err == nil && total >= 0 && total <= maxMicros {
					return time.Duration(total) * time.Microsecond, nil
				}
			}
		}
	}
	return 0, fmt.Errorf("%s holds no pressure stall information", path)
}

// maxMicros is the longest time.Duration, in microseconds.
const maxMicros = int64(1<<63-1) / int64(time.Microsecond)
