package scheduler

// wake is a signal that keeps one: a call of up while nobody receives is received
// later, and several such calls are received once.
type wake chan struct{}

func newWake() wake { return make(wake, 1) }

func (w wake) up() {
	select {
	case w <- struct{}{}:
	default:
	}
}
