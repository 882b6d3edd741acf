package worker

// Cordon makes the worker take nothing new: it finishes what it has accepted,
// tells the server at once, and stays, until Uncordon. A cordoned worker drains
// as any other one when Run is to end. It may be called at any time, also before
// Run, and again.
func (w *Worker) Cordon() { w.setCordon(true) }

// Uncordon makes the worker take triggers again.
func (w *Worker) Uncordon() { w.setCordon(false) }

func (w *Worker) setCordon(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cordoned = on
	if w.running != nil {
		w.running.table.cordon(on)
		w.running.beater.beatNow()
	}
}

// enter makes r the worker's running self.
func (w *Worker) enter(r *running) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.running = r
	r.table.cordon(w.cordoned)
}
