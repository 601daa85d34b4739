package daemon

import (
	"errors"
	"log/slog"
	"time"

	"stormcell/actors/node"
	"stormcell/cmd/node/config"
	"stormcell/cmd/node/fault"
	"stormcell/cmd/node/levels"
	"stormcell/persistence"
)

// openJournal opens the journal of the data directory, or says what keeps it shut and what to do. synced hears of syncs.
func openJournal(c config.Daemon, log *slog.Logger, synced func(time.Duration)) (*persistence.Badger, error) {
	j, err := persistence.Open(persistence.Options{
		Dir: c.Dir, Logger: log.With(node.SubsystemKey, levels.Journal), FreeSpaceFloor: c.FreeSpaceFloor, AcceptLoss: c.AcceptLoss, ConfirmMove: c.Moved,
		Restored: c.Restored, Synced: synced,
	})
	if err != nil {
		return nil, fault.New(fault.Data, err, "%s", adviceOnOpen(err))
	}
	if doubt := j.Doubt(); doubt.Number > 0 {
		log.Warn("safe mode: this node's data may be an old copy", "why", doubt.Why, "doubt", doubt.Number,
			"meaning", "no commitment of a channel is published until its peer has shown that this node knows of the latest",
			"help", "each channel is trusted again once its peer has shown that; --moved ends this for a directory that was only moved")
	}
	return j, nil
}

func adviceOnOpen(err error) string {
	switch {
	case errors.Is(err, persistence.ErrInUse):
		return "Another daemon runs on this data directory: use it, or choose another with --datadir."
	case errors.Is(err, persistence.ErrDiskFull):
		return "Free some space, or lower the limit with --minfreespace (in MiB) if the disk is small."
	case errors.Is(err, persistence.ErrNewerFormat):
		return "Install the newer program again: an older one cannot read what it wrote."
	case errors.Is(err, persistence.ErrBehindHead):
		return "The newest commits are gone. Copy the data directory away first. If the disk cannot be mended, a start " +
			"with --accept-loss goes on without them, in safe mode: peers may close channels."
	case errors.Is(err, persistence.ErrCorrupt):
		return "Check the disk. Do not delete anything: copy the data directory away first. An older copy of it must be " +
			"started with --restored, or it may cost all that is in the channels."
	default:
		return "Check that the data directory exists and belongs to you."
	}
}

// journalFailed is what the daemon ends with when its journal cannot go on.
func journalFailed(err error) error {
	advice := "Check the disk and start again: what was acknowledged is in the journal."
	if errors.Is(err, persistence.ErrDiskFull) {
		advice = "Free some space and start again: nothing that was acknowledged is lost."
	}
	return fault.New(fault.Journal, err, "%s", advice)
}
