package storage

// HotSettings are the session settings of the hot pool.
func HotSettings() map[string]string { return hotSettings() }

// APISettings are those of the API's pool.
func APISettings() map[string]string { return apiSettings() }

// Coprime is the factor that scatters jobs.
func Coprime(n int) int64 { return coprime(n) }

// SetLooks sets how many rows a page looks at.
func SetLooks(db *DB, n int) { db.looks = n }
