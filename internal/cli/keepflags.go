package cli

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"canvasback/internal/config"
)

// keepFlags binds the flags of a retention policy. What r holds already are
// their defaults.
func keepFlags(fl *pflag.FlagSet, r *config.Retention) {
	fl.IntVar(&r.KeepLast, "keep-last", r.KeepLast, "`N` newest verified backups to keep; -1 keeps all")
	for _, n := range []struct {
		kind  string
		value *int
	}{{"hour", &r.KeepHourly}, {"day", &r.KeepDaily}, {"week", &r.KeepWeekly}, {"month", &r.KeepMonthly}, {"year", &r.KeepYearly}} {
		fl.IntVar(n.value, "keep-"+adverb(n.kind), *n.value, "`N` newest "+n.kind+"s to keep the newest verified backup of; -1 for all")
	}
	fl.Var(&r.KeepWithin, "keep-within", "keep what is younger than a `PERIOD` such as 30d, 1y6m or 12h")
	for _, p := range []struct {
		kind  string
		value *config.Period
	}{
		{"hour", &r.KeepWithinHourly}, {"day", &r.KeepWithinDaily}, {"week", &r.KeepWithinWeekly}, {"month", &r.KeepWithinMonthly}, {"year", &r.KeepWithinYearly},
	} {
		fl.Var(p.value, "keep-within-"+adverb(p.kind), "keep the newest of every "+p.kind+" within a `PERIOD`")
	}
	fl.StringArrayVar(&r.KeepTags, "keep-tag", r.KeepTags, "keep what carries the `TAG`, repeatable")
	fl.StringVar(&r.TimeZone, "timezone", r.TimeZone, "`ZONE` of hours, days and so on, such as Europe/Amsterdam")
	fl.IntVar(&r.MinVerified, "min-verified", r.MinVerified, "`N` newest verified backups that stay whatever the rules say")
	fl.Var(&r.Grace, "grace", "`PERIOD` for which a removed backup can be brought back (default none)")
	fl.BoolVar(&r.CountStructure, "count-structure", r.CountStructure, "count backups of which only the structure is verified")
}

func adverb(kind string) string {
	if kind == "day" {
		return "daily"
	}
	return kind + "ly"
}

// override sets in r what the command's keep flags say, and leaves the rest.
func override(cmd *cobra.Command, r *config.Retention) error {
	onto := pflag.NewFlagSet("", pflag.ContinueOnError)
	keepFlags(onto, r)
	var err error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		target := onto.Lookup(f.Name)
		if target == nil || err != nil {
			return
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			err = target.Value.(pflag.SliceValue).Replace(list.GetSlice())
			return
		}
		err = target.Value.Set(f.Value.String())
	})
	return err
}

// asTyped is the command with the flags that it was given, but for those left
// out, in a form that a shell reads.
func asTyped(cmd *cobra.Command, without ...string) string {
	words := []string{cmd.CommandPath()}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		for _, name := range without {
			if f.Name == name {
				return
			}
		}
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
		}
		for _, v := range values {
			words = append(words, "--"+f.Name+"="+quoted(v))
		}
	})
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9._/:+@,=-]+$`)

// quoted is the word as a shell needs it.
func quoted(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
