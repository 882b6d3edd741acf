package main

import "testing"

func TestFigures(t *testing.T) {
	t.Parallel()
	for x, want := range map[float64]string{0: "0", 0.12345: "0.1235", 12.345: "12.35", 999.96: "1000", 1318.4: "1318", 48250: "48250", 1e8: "100000000"} {
		if got := figure(x); got != want {
			t.Errorf("figure(%v) = %q, want %q", x, got, want)
		}
	}
}
