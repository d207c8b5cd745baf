package config

import "fmt"

// checkZeros finds the keys that a file sets to 0 where 0 stands for the
// default and does not mean what it says. It runs before defaults are filled
// in.
func (c *Config) checkZeros(at lines) []fault {
	k := &checks{}
	look := func(key string, zero bool, format string, args ...any) {
		path := key
		if k.at != "" {
			path = k.at + "." + key
		}
		if p, set := at[path]; set && !p.empty {
			k.require(!zero, key, format, args...)
		}
	}
	const limit = "0 is no time limit: leave the key out for %s"
	look("copies", c.Copies == 0, "0 is not a number of copies: at least 1")
	look("bandwidth.floor", c.Bandwidth.Floor == 0, "0 is no floor: at least %s a second", Bytes(leastRate))
	look("notify.timeout", c.Notify.Timeout == 0, limit, DefaultNotifyTimeout)
	for i, d := range c.Databases {
		k.at = fmt.Sprintf("databases[%d]", i)
		look("max_age", d.MaxAge == 0, "0 is no age: leave the key out for twice the longest time between two starts of the schedule, and an hour")
		look("checkpoint.timeout", d.Checkpoint.Timeout == 0, limit, DefaultCheckpointTimeout)
		look("hold.timeout", d.Hold.Timeout == 0, limit, DefaultHoldTimeout)
		look("hold.deadline", d.Hold.Deadline == 0, "0 is no time: leave the key out for %s", DefaultHoldDeadline)
		look("copy.settle", d.Copy.Settle == 0, "0 is no waiting time: leave the key out for %s", DefaultSettle)
		look("copy.attempts", d.Copy.Attempts == 0, "0 is not a number of attempts: at least 1")
		look("copy.timeout", d.Copy.Timeout == 0, limit, DefaultCopyTimeout)
		look("verify.timeout", d.Verify.Timeout == 0, limit, DefaultVerifyTimeout)
		look("retention.keep_last", d.Retention.rules().Empty() && d.Retention.KeepLast == 0, "0 is not a number of backups: at least 1, or -1 to keep all")
		look("retention.min_verified", d.Retention.MinVerified == 0, "0 is not a number of backups: at least 1")
		look("notify.timeout", d.Notify.Timeout == 0, limit, DefaultNotifyTimeout)
		at := k.at
		for j, a := range d.Assertions {
			k.at = fmt.Sprintf("%s.assertions[%d]", at, j)
			look("timeout", a.Timeout == 0, limit, DefaultAssertionTimeout)
		}
	}
	return k.faults
}
