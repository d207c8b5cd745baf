package failure

// The table. Retry means that Temporal tries the step again by itself: the
// cause can pass without anyone's help. Names are stored in histories and
// change by addition only.
var (
	// The database.
	NoSuchFile   = &Kind{Name: "NoSuchFile", Retry: true, Exit: ExitNotFound, Hint: "check the path; in a container, that its directory is mounted there"}
	NotAFile     = &Kind{Name: "NotAFile", Retry: false, Exit: ExitFailed, Hint: "name the database file itself, not a directory or device"}
	NotDuckDB    = &Kind{Name: "NotDuckDB", Retry: false, Exit: ExitFailed, Hint: "check that the path names a DuckDB database"}
	NewerStorage = &Kind{Name: "NewerStorage", Retry: false, Exit: ExitFailed, Hint: "this release of canvasback does not know the file's storage version: use a newer one"}
	Encrypted    = &Kind{Name: "Encrypted", Retry: false, Exit: ExitFailed, Hint: "name a file with the database's key: key_file in the configuration, --key-file here"}
	Truncated    = &Kind{Name: "Truncated", Retry: true, Exit: ExitFailed, Hint: "the file ends before blocks that its header uses: check the disk and open the database with DuckDB"}
	Corrupt      = &Kind{Name: "Corrupt", Retry: true, Exit: ExitFailed, Hint: "the live database is damaged: keep the newest verified backup safe and open the database with DuckDB to see what it says"}
	NoPermission = &Kind{Name: "NoPermission", Retry: false, Exit: ExitFailed, Hint: "give the worker's user read permission on the database and its .wal, and search permission on their directory"}
	Replaced     = &Kind{Name: "Replaced", Retry: true, Exit: ExitFailed, Hint: "the path now names another file than when the copy began; the next attempt copies the new one"}
	Moving       = &Kind{Name: "Moving", Retry: true, Exit: ExitFailed, Hint: "the owner checkpoints faster than a pass over the file: raise copy.bandwidth or copy.attempts, raise checkpoint_threshold in the owner, let it hold its checkpoints off (hold), or back up at a quieter time"}
	OutOfTime    = &Kind{Name: "OutOfTime", Retry: true, Exit: ExitFailed, Hint: "raise copy.timeout or copy.bandwidth; the next attempt goes on from what is copied if the database has not checkpointed since"}
	OwnerStopped = &Kind{Name: "OwnerStopped", Retry: true, Exit: ExitFailed, Hint: "let the service's process run on (SIGCONT, or thaw its control group): only then can a copy without a commit in its WAL be justified"}
	Network      = &Kind{Name: "Network", Retry: false, Exit: ExitFailed, Hint: "run the worker on the machine that writes the database; or set copy.allow_network: true if nobody else has the file system mounted"}
	WrongKey     = &Kind{Name: "WrongKey", Retry: false, Exit: ExitFailed, Hint: "name a file with the key that the service opens the database with: key_file in the configuration, --key-file here"}
	ManyNames    = &Kind{Name: "ManyNames", Retry: true, Exit: ExitFailed, Hint: "name the path that the service opens the database by, with its WAL beside it, or remove the file's other names"}
	Busy         = &Kind{Name: "Busy", Retry: true, Exit: ExitFailed, Hint: "something else is at work on this database: wait for it; 'starter stop' stops a backup"}

	// The repository.
	RepoMissing     = &Kind{Name: "RepoMissing", Retry: false, Exit: ExitNotFound, Hint: "create the repository directory, or mount the disk that holds it"}
	RepoNotWritable = &Kind{Name: "RepoNotWritable", Retry: false, Exit: ExitFailed, Hint: "give the worker's user write permission on the repository directory"}
	RepoFull        = &Kind{Name: "RepoFull", Retry: true, Exit: ExitFailed, Hint: "free space on the repository's file system, or lower retention.keep_last"}
	RepoOverlap     = &Kind{Name: "RepoOverlap", Retry: false, Exit: ExitUsage, Hint: "put the repository in a directory of its own, away from the database file"}
	RepoCorrupt     = &Kind{Name: "RepoCorrupt", Retry: false, Exit: ExitBad, Hint: "the repository holds something that canvasback did not write; look at the named file"}
	UnknownBackup   = &Kind{Name: "UnknownBackup", Retry: false, Exit: ExitNotFound, Hint: "'starter list' shows the backups there are, 'starter prune --trash' those that can be brought back"}
	UnknownTable    = &Kind{Name: "UnknownTable", Retry: false, Exit: ExitNotFound, Hint: "'starter list --json' shows the tables of a backup, with their schemas"}
	Reading         = &Kind{Name: "Reading", Retry: true, Exit: ExitFailed, Hint: "a restore, a drill or a verification is reading the backup: try again when it is done"}
	BlastRadius     = &Kind{Name: "BlastRadius", Retry: false, Exit: ExitFailed, Hint: "look at the plan with 'starter prune'; if it is what you want, --confirm with --force carries it out"}
	PlanChanged     = &Kind{Name: "PlanChanged", Retry: false, Exit: ExitFailed, Hint: "show the plan again with 'starter prune' and confirm the new hash"}
	UnknownDatabase = &Kind{Name: "UnknownDatabase", Retry: false, Exit: ExitNotFound, Hint: "name a database that the repository ('starter list' shows them) or the worker's configuration has; where it is another host's, name that with --host"}

	// The verdict.
	BackupBad    = &Kind{Name: "BackupBad", Retry: false, Exit: ExitBad, Hint: "the backup did not pass and does not count (failed, or rotten where it passed before); other verified backups are untouched"}
	NotExtracted = &Kind{Name: "NotExtracted", Retry: false, Exit: ExitFailed, Hint: "restore the whole backup, and take the tables out of that with DuckDB; 'starter verify' tells whether the backup is sound"}

	// What the engine could not decide: the copy is neither proved nor bad.
	VerifyTimeout = &Kind{Name: "VerifyTimeout", Retry: false, Exit: ExitFailed, Hint: "the backup is kept and not verified: raise verify.timeout, or lower verify.level, and run 'starter verify'"}
	VerifyMemory  = &Kind{Name: "VerifyMemory", Retry: false, Exit: ExitFailed, Hint: "the backup is kept and not verified: raise verify.memory_limit or lower verify.threads, free memory, and run 'starter verify'"}
	DrillFailed   = &Kind{Name: "DrillFailed", Retry: false, Exit: ExitBad, Hint: "a backup that counts could not be restored and proved: look at the named one, take a new backup now, and run the drill again"}

	// The machinery.
	Hook                = &Kind{Name: "Hook", Retry: true, Exit: ExitFailed, Hint: "look at the owner's hook, or set checkpoint.on_error or hold.on_error to continue"}
	Engine              = &Kind{Name: "Engine", Retry: true, Exit: ExitFailed, Hint: "the verifying child process could not run here: check memory and the temporary directory"}
	InvalidConfig       = &Kind{Name: "InvalidConfig", Retry: false, Exit: ExitUsage, Hint: "mend the configuration file and start again"}
	PortTaken           = &Kind{Name: "PortTaken", Retry: true, Exit: ExitFailed, Hint: "stop what listens there ('ss -ltnp' shows it), or name another port, 0 for any"}
	BadSchedule         = &Kind{Name: "BadSchedule", Retry: false, Exit: ExitUsage, Hint: "a cron expression has five fields, such as '0 3 * * *'; a time zone is a name such as Europe/Amsterdam"}
	TemporalUnreachable = &Kind{Name: "TemporalUnreachable", Retry: true, Exit: ExitFailed, Hint: "start Temporal, or point TEMPORAL_ADDRESS (or the profile) at it; 'backup --local' and 'restore' need none"}
	TemporalBusy        = &Kind{Name: "TemporalBusy", Retry: true, Exit: ExitFailed, Hint: "ask again when fewer runs begin; jitter spreads the starts of schedules"}
	TemporalTLS         = &Kind{Name: "TemporalTLS", Retry: false, Exit: ExitFailed, Hint: "make this client's TLS settings (TEMPORAL_TLS..., or tls of the profile) and the server's agree; see docs/temporal-server.md"}
	TemporalDenied      = &Kind{Name: "TemporalDenied", Retry: false, Exit: ExitFailed, Hint: "use an API key or certificate that may read and write in this namespace, or name another namespace (TEMPORAL_NAMESPACE, --namespace)"}
	NoNamespace         = &Kind{Name: "NoNamespace", Retry: false, Exit: ExitNotFound, Hint: "make it with 'temporal operator namespace create', or name another one (TEMPORAL_NAMESPACE, --namespace)"}
	Payload             = &Kind{Name: "Payload", Retry: true, Exit: ExitFailed, Hint: "name the file that has the key: --codec-key-file, or CANVASBACK_CODEC_KEY_FILE; docs/encryption.md says what to do where the key is lost"}
	NoWorker            = &Kind{Name: "NoWorker", Retry: true, Exit: ExitFailed, Hint: "start the worker on the database's host, or name its host with --host"}
	ScheduleConflict    = &Kind{Name: "ScheduleConflict", Retry: false, Exit: ExitFailed, Hint: "a database has a cron workflow or a schedule, never both, and one schedule of each kind: 'starter status' shows what there is"}
	NoSchedule          = &Kind{Name: "NoSchedule", Retry: false, Exit: ExitNotFound, Hint: "'starter schedule create' makes one"}
	SetUp               = &Kind{Name: "SetUp", Retry: false, Exit: ExitFailed, Hint: "each FAIL says how to mend it, and 'starter doctor' can be run again at any time"}
	ObjectiveMissed     = &Kind{Name: "ObjectiveMissed", Retry: false, Exit: ExitPartly, Hint: "each line above says what to do; max_age of a database in the worker's configuration is the objective"}
	RunFailed           = &Kind{Name: "RunFailed", Retry: false, Exit: ExitFailed, Hint: "the run's page in the Temporal UI shows the failed step"}

	// The restore.
	TargetExists = &Kind{Name: "TargetExists", Retry: false, Exit: ExitFailed, Hint: "name a target that does not exist, or move an old database away with --keep-old"}
	TargetInUse  = &Kind{Name: "TargetInUse", Retry: false, Exit: ExitFailed, Hint: "a process holds the target open: stop it first"}
	TargetBad    = &Kind{Name: "TargetBad", Retry: false, Exit: ExitFailed, Hint: "name a file in a directory that exists and can be written; a host's targets are those of restore.targets in its configuration"}

	// The caller.
	BadInput    = &Kind{Name: "BadInput", Retry: false, Exit: ExitUsage, Hint: "start runs with the starter; a run takes names that the worker's configuration has, and no paths"}
	Usage       = &Kind{Name: "Usage", Retry: false, Exit: ExitUsage, Hint: "see --help"}
	Interrupted = &Kind{Name: "Interrupted", Retry: true, Exit: ExitInterrupted, Hint: "run the command again"}

	// Unexpected is what no other row names.
	Unexpected = &Kind{Name: "Unexpected", Retry: true, Exit: ExitFailed, Hint: ""}
)

// Kinds lists every row.
var Kinds = []*Kind{
	NoSuchFile, NotAFile, NotDuckDB, NewerStorage, Encrypted, Truncated, Corrupt, NoPermission, Replaced, Moving,
	OutOfTime, OwnerStopped, Network, WrongKey, ManyNames, Busy,
	RepoMissing, RepoNotWritable, RepoFull, RepoOverlap, RepoCorrupt, UnknownBackup, UnknownTable, Reading, BlastRadius, PlanChanged, UnknownDatabase,
	BackupBad, NotExtracted, VerifyTimeout, VerifyMemory, DrillFailed,
	Hook, Engine, InvalidConfig, PortTaken, BadSchedule, TemporalUnreachable, TemporalBusy, TemporalTLS, TemporalDenied, NoNamespace, Payload, NoWorker, ScheduleConflict, NoSchedule, SetUp, ObjectiveMissed, RunFailed,
	TargetExists, TargetInUse, TargetBad,
	BadInput, Usage, Interrupted, Unexpected,
}
