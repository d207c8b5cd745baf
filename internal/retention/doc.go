// Package retention decides which backups stay. It is a pure function of the
// time, the backups and the policy: it reads no clock and no disk, so that a
// decision can be explained and repeated.
//
// # What a policy keeps
//
// Only verified backups count (those of which only the structure is verified
// too, where the policy says so). Walking from the newest to the oldest of
// them, last keeps the newest ones, and each of hourly, daily, weekly, monthly
// and yearly keeps the newest one of every hour, day, ISO week, month and year
// of the policy's time zone, until its number is used up. The oldest one that
// counts fills a slot that is left over, so that a young history reaches as far
// back as it can. within keeps what is younger than a period, hourly within and
// its likes the newest one of every hour that is. A negative number stands for
// all. A backup stays if any rule keeps it; one backup can fill slots of several
// rules. All this is as in restic, but for what is said of clocks below.
//
// Beside the rules, these stay: what carries one of the policy's tags, whatever
// its state, except a failed copy; what is pinned, whatever its state; and the
// newest MinVerified verified ones. MinVerified stands for the newest ones, not
// for a number that is filled up: a larger policy could otherwise remove what a
// smaller one keeps.
//
// A policy without any number or period keeps everything. Tags alone make none:
// they only add to what the rules keep.
//
// # What is not verified
//
// It fills no slot. A copy that is not verified, one with only its structure
// verified and one that rotted after it was verified stay until a newer one
// counts, and the newest of each state stays after that too, for a look. A copy
// that failed its verification never was a backup: the newest one stays for a
// look, older ones go as soon as there is it. What is in a state that this
// program does not know stays.
//
// # Clocks
//
// A backup dated later than now stays, is reported, fills no slot and proves
// nothing. Nothing else looks at now. For two clocks, the earlier never removes
// what the later one keeps, and where no backup is dated between them, both
// decide the same: a jump of the clock by itself removes nothing, forwards or
// backwards.
//
// A backup that is taken while the clock is ahead counts by its wrong date. It
// takes its slot like any other, so it removes by number, one for one. The
// periods could let go of everything at once, so they do not measure from now,
// and neither from the newest backup as restic does, but by how much time the
// backups show to have passed: the newest one's date less the longest gap
// between two neighbours since the backup in question, which is where a clock
// may have jumped. So within keeps whatever is truly younger than its period,
// however far the clock jumped, once; for backups at regular times it reaches
// one of them further back than the period says.
//
// A pin with an end is measured likewise, from when it was set: it holds until
// verified backups show that its end has passed, not until the clock says so.
package retention
