package cli

import (
	"errors"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"canvasback/internal/backup"
	"canvasback/internal/config"
	"canvasback/internal/failure"
	"canvasback/internal/repo"
	"canvasback/internal/retention"
)

// pruneFlags are the flags of prune. Those of the retention are applied to what
// the configuration says.
type pruneFlags struct {
	stored
	config       string
	retention    config.Retention
	confirm      string // empty: only show; confirmNow; or a hash
	force, trash bool
}

// confirmNow is what --confirm without a value means.
const confirmNow = "now"

var hashPattern = regexp.MustCompile(`^[0-9a-f]{12}$`)

func newPruneCommand(a *app) *cobra.Command {
	f := &pruneFlags{retention: config.NewRetention()}
	cmd := &cobra.Command{
		Use:   "prune --repository DIR --database NAME {--keep-... | --config FILE | --trash}",
		Short: "Show, and with --confirm remove, the backups that are too many",
		Long: `Decide which backups of a database stay, by the keep rules of the flags or of
the worker's configuration file, which the flags override. A backup stays if any
rule keeps it. Only verified backups fill slots; the newest --min-verified of
them always stay, and so do pinned ones, those that carry a --keep-tag, and
those dated in the future.

Every backup is shown, with the rules that keep it or the reason why it goes.
Nothing is removed without --confirm. --confirm=HASH removes exactly what was
shown with that hash, or refuses if the plan is another one by now; --confirm
alone decides and removes at once. A plan that removes more than half of the
backups needs --force too.

With --grace what is removed goes to the trash for that long: --trash lists it,
'starter undelete' brings it back.`,
		Example: `  starter prune --repository /backups --database shop --keep-daily 7 --keep-weekly 5
  starter prune --repository /backups --database shop --keep-daily 7 --keep-weekly 5 --confirm=0f1e2d3c4b5a
  starter prune --repository /backups --database shop --trash
  starter prune --config /etc/canvasback.yaml --database shop --confirm`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.prune(cmd, f) },
	}
	fl := cmd.Flags()
	fl.StringVar(&f.repository, "repository", "", "`DIR` that holds the backups; with --config the one it names")
	f.databaseFlag(cmd)
	fl.StringVar(&f.config, "config", "", "configuration `FILE` of the worker")
	keepFlags(fl, &f.retention)
	fl.StringVar(&f.confirm, "confirm", "", "remove: exactly the plan of the `HASH`, or without one whatever is decided now")
	fl.Lookup("confirm").NoOptDefVal = confirmNow
	fl.BoolVar(&f.force, "force", false, "remove even more than half of the backups")
	fl.BoolVar(&f.trash, "trash", false, "list what was removed and can be brought back")
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 && hashPattern.MatchString(args[0]) && cmd.Flags().Changed("confirm") {
			return usagef("--confirm %s: the hash is a part of the flag: write --confirm=%s", args[0], args[0])
		}
		return noArgs(cmd, args)
	}
	return cmd
}

// policy is the retention of the configuration, if there is one, with the
// flags over it. It also finds the repository.
func (f *pruneFlags) policy(cmd *cobra.Command) (retention.Policy, error) {
	rules := config.NewRetention()
	if f.config != "" {
		cfg, err := config.Load(f.config)
		if err != nil {
			return retention.Policy{}, err
		}
		db, ok := cfg.Database(f.database)
		if !ok {
			return retention.Policy{}, failure.Errorf(failure.UnknownDatabase, "%s has no database %q", f.config, f.database)
		}
		rules = db.Retention
		if !cmd.Flags().Changed("repository") {
			f.repository = cfg.Repository
		}
	}
	if err := override(cmd, &rules); err != nil {
		return retention.Policy{}, usagef("%w", err)
	}
	p, err := rules.Policy()
	if err == nil && p.Empty() && !cmd.Flags().Changed("keep-last") {
		return p, usagef("nothing says what to keep: --keep-last or another --keep rule, or --config")
	}
	if err := rules.CheckFlags(); err != nil {
		return p, err
	}
	return p, err
}

func (a *app) prune(cmd *cobra.Command, f *pruneFlags) (err error) {
	confirm := cmd.Flags().Changed("confirm")
	switch {
	case f.trash:
		return a.listTrash(f)
	case confirm && f.confirm != confirmNow && !hashPattern.MatchString(f.confirm):
		return usagef("--confirm=%s: not the hash of a plan, which has 12 hex digits", f.confirm)
	}
	policy, err := f.policy(cmd)
	if err != nil {
		return err
	}
	r, err := f.open()
	if err != nil {
		return err
	}
	now := a.now()
	if confirm {
		// No backup run may decide or remove at the same time.
		lease, err := r.Acquire(f.database, "prune by hand", now)
		if err != nil {
			return err
		}
		defer func() {
			if endErr := lease.End(); err == nil && endErr != nil {
				a.notef("%v", endErr)
			}
		}()
	}
	p, err := backup.PlanPruning(r, f.database, policy, now)
	if err != nil {
		return err
	}
	if confirm {
		return a.carryOut(f, p, now)
	}
	doc := newPruneDoc(f.database, p, now)
	if len(doc.Removed) > 0 {
		doc.Confirm = asTyped(cmd, "confirm", "json", "force") + " --confirm=" + doc.Hash
		if doc.NeedsForce {
			doc.Confirm += " --force"
		}
	}
	return a.pruned(doc, p.Problems)
}

// carryOut removes what the plan says, if it is the one that was confirmed.
func (a *app) carryOut(f *pruneFlags, p *backup.Pruning, now time.Time) error {
	if f.confirm != confirmNow && f.confirm != p.Plan.Hash {
		return failure.Errorf(failure.PlanChanged, "the plan for %s is %s now, not %s: nothing was removed", f.database, p.Plan.Hash, f.confirm)
	}
	if err := p.Check(); err != nil && !f.force {
		return err
	}
	res, err := p.Remove(a.ctx, func(repo.Manifest) bool { return true })
	sweepErr := p.Sweep()
	doc := newPruneDoc(f.database, p, now)
	doc.carriedOut(res)
	problems := errors.Join(err, sweepErr, p.Problems)
	if len(res.Reading) > 0 {
		problems = errors.Join(problems, failure.Errorf(failure.Reading, "being read, and left for now: %s", strings.Join(res.Reading, ", ")))
	}
	return a.pruned(doc, problems)
}

func (a *app) pruned(doc *pruneDoc, problems error) error {
	if err := a.result(doc, doc.write); err != nil {
		return err
	}
	if problems != nil {
		return &partial{problems}
	}
	return nil
}
