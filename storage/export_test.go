package storage

// HotSettings are the session settings of the hot pool.
func HotSettings() map[string]string { return hotSettings() }
