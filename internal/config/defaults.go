package config

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// Defaults of what a configuration leaves out.
const (
	DefaultKeepLast          = 10
	DefaultMinVerified       = 2
	DefaultCheckpointTimeout = Duration(time.Minute)
	DefaultHoldTimeout       = Duration(30 * time.Second)
	DefaultHoldDeadline      = Duration(10 * time.Minute)
	DefaultSettle            = Duration(5 * time.Second)
	DefaultCopyAttempts      = 60
	DefaultCopyTimeout       = Duration(6 * time.Hour)
	DefaultVerifyLevel       = LevelFull // without assertions
	DefaultVerifyTimeout     = Duration(time.Hour)
	DefaultAssertionTimeout  = Duration(time.Minute)
)

// KeepAll, as retention.keep_last and its likes, keeps every backup.
const KeepAll = -1

// fillIn sets what is still zero to its default. A host name that cannot be
// found out stays empty, which check reports.
func (c *Config) fillIn() {
	if c.Host == "" {
		c.Host, _ = os.Hostname()
	}
	setDefault(&c.Copies, 1)
	c.Bandwidth.fillIn()
	for i := range c.Databases {
		d := &c.Databases[i]
		setDefault(&d.Checkpoint.Mode, CheckpointNone)
		setDefault(&d.Checkpoint.Timeout, DefaultCheckpointTimeout)
		setDefault(&d.Checkpoint.OnError, OnErrorContinue)
		setDefault(&d.Hold.Mode, HoldNone)
		setDefault(&d.Hold.Timeout, DefaultHoldTimeout)
		setDefault(&d.Hold.Deadline, DefaultHoldDeadline)
		setDefault(&d.Hold.OnError, OnErrorContinue)
		setDefault(&d.Copy.Settle, DefaultSettle)
		setDefault(&d.Copy.Clone, CloneAuto)
		setDefault(&d.Copy.Attempts, DefaultCopyAttempts)
		setDefault(&d.Copy.Timeout, DefaultCopyTimeout)
		d.Verify.Level = NormalLevel(d.Verify.Level)
		if len(d.Assertions) > 0 {
			setDefault(&d.Verify.Level, LevelAssert)
		}
		setDefault(&d.Verify.Level, DefaultVerifyLevel)
		setDefault(&d.Verify.Timeout, DefaultVerifyTimeout)
		d.Retention.fillIn()
		d.Drill.fillIn(len(d.Assertions) > 0)
		for j := range d.Assertions {
			setDefault(&d.Assertions[j].Timeout, DefaultAssertionTimeout)
		}
	}
}

// levels are the names of the levels of verification, L1 first.
var levels = []string{LevelBytes, LevelOpen, LevelFull, LevelAssert}

// NormalLevel is the name of a level of verification that was written as its
// name or as L1 to L4, in any case. What is neither comes back as it is.
func NormalLevel(level string) string {
	lower := strings.ToLower(level)
	for i, name := range levels {
		if lower == name || lower == fmt.Sprintf("l%d", i+1) {
			return name
		}
	}
	return level
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}
