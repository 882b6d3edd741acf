package chaos

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"
)

// tellEvery is the pace of the lines that say how far a run is.
const tellEvery = 30 * time.Second

// tell says how far the run is, and what it takes, until ctx ends.
func (r *run) tell(ctx context.Context, began time.Time) {
	for passed(ctx, tellEvery) {
		text := fmt.Sprintf("          %v of %v", time.Since(began).Round(time.Second), r.Duration)
		if info, err := os.Stat(r.folder.path("history.jsonl")); err == nil {
			text += fmt.Sprintf(", %d MB of history", info.Size()>>20)
		}
		for _, d := range r.stage.stores.disks {
			if used, err := d.used(); err == nil {
				text += fmt.Sprintf(", %d MB of database", used>>20)
			}
		}
		r.Progress(text)
	}
}

// used returns how many bytes of a disk are taken.
func (d *disk) used() (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.path, &s); err != nil {
		return 0, fmt.Errorf("measure %s: %w", d.path, err)
	}
	return int64(s.Blocks-s.Bfree) * int64(s.Bsize), nil
}
