package labdb

import (
	"testing"

	"pgregory.net/rapid"
)

func TestCoprimePermutes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5000).Draw(t, "n")
		factor, seen := coprime(n), make(map[int64]bool)
		for k := range int64(n) {
			seen[k*factor%int64(n)] = true
		}
		if len(seen) != n {
			t.Errorf("%d times the numbers below %d are %d numbers", factor, n, len(seen))
		}
	})
}
