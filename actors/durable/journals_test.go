package durable_test

import (
	"sync/atomic"

	"stormcell/actors/durable"
	"stormcell/persistence"
)

// hooked is a journal that tells a test what happens to it.
type hooked struct {
	persistence.Journal
	// submitted runs between the submission of a commit and the return of Submit.
	submitted func(c *persistence.Commit, lsn persistence.LSN)
	// refuse may fail a commit.
	refuse func(c *persistence.Commit) error
	// read may fail a read.
	read  func(addr durable.Address) error
	reads atomic.Int64
}

func (j *hooked) Submit(c *persistence.Commit) (persistence.LSN, error) {
	if j.refuse != nil {
		if err := j.refuse(c); err != nil {
			return 0, err
		}
	}
	lsn, err := j.Journal.Submit(c)
	if err == nil && j.submitted != nil {
		j.submitted(c, lsn)
	}
	return lsn, err
}

func (j *hooked) Read(addr durable.Address) (*persistence.Stored, error) {
	j.reads.Add(1)
	if j.read != nil {
		if err := j.read(addr); err != nil {
			return nil, err
		}
	}
	return j.Journal.Read(addr)
}
